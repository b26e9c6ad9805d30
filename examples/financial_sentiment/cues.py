"""What financial texts say with direction words: ``cues(text, language)`` counts them.

"Profit falls" is bad and "unemployment falls" is good, so a direction is read together with the nearest thing
in its clause that moves. The tables are our own; the classifier learns what each count is worth.
"""

# ruff: noqa: RUF001  (Chinese has punctuation of its own)

from __future__ import annotations

import re
from functools import cache

import numpy as np

NAMES = ("good", "bad", "up", "down", "up_bad", "down_bad", "still", "negated", "balance", "silent")
"""What is counted: words good and bad by themselves, movements of things that are better up (or of nothing
named), movements of things that are better down, words of standstill, denials, the sum of all, and 1 where
nothing was found that has a direction."""

MOST = 3.0
"""Counts are cut off here."""

ENGLISH = {
    "good": r"""beat\w*|top(?:s|ped|ping)|exceed\w*|surpass\w*|outperform\w*|outstrip\w*|smash\w*|wins?|won|
        winning|award(?:s|ed)|approv\w+|clear(?:s|ed)|dismiss\w*\ (?:the|a|claims)|throws?\ out|drops?\ its\ case|
        acquit\w*|overturn\w*|upgrad\w*|outlook\ improv\w*|strong(?:er|est|ly)?|strength\w*|robust|solid|healthy|
        bumper|booming|boom|record|best|rave|prais\w+|love|applaud\w*|cheers?|welcom\w+|oversubscribed|premium|
        profitab\w+|to\ profit|break\ even|breakthrough|effective|success\w*|secur(?:es|ed)|land(?:s|ed)|sold\ out|
        resum\w+|optimis\w+|confident|upbeat|all-time\ high|expan(?:ds?|ded|sion)|gains?|rall(?:y|ies|ied)|rebound\w*|
        recover\w*|bounce\w*|relie(?:f|v\w+)|great|creates?|hir(?:e|es|ing)\ (?:\d|spree)|new\ jobs|lucrative|
        bull(?:ish)?|favou?r|compensation|lifted|ahead\ of|handsome|generous|respected|leads?|returns?\ to""",
    "bad": r"""miss(?:es|ed)?|warn\w*|fears?|worr\w+|concerns?|fraud\w*|scandal|fined?|fines|penalt\w+|lawsuits?|
        sue[sd]?|charg(?:es|ed)|probe|investigat\w+|inquiry|raid\w*|brib\w+|launder\w+|convict\w+|guilty|arrest\w*|
        bankrupt\w*|insolven\w*|defaults?|downgrad\w+|weak\w*|disappoint\w*|poor|terrible|recall\w*|fault\w*|defect\w*|
        fail\w*|collaps\w+|block(?:s|ed)|reject\w*|cancel\w*|scrap\w*|suspend\w*|halt\w*|delay\w*|postpon\w+|outage|
        offline|breach|crash\w*|overheat\w*|complain\w*|angry|critici\w+|balk|los(?:es?|ing|t)|layoffs?|lays?\ off|
        laid\ off|axe[sd]?|job\ cuts|quits?|resign\w*|ousted|abrupt\w*|strike[sd]?|walk\ ?out|walk\w*\ away|row|
        recession|crisis|slump\w*|plung\w+|tumbl\w+|plummet\w*|rout|sell-?off|dump\w*|panic|junk|writ\w+\ (?:off|down)|
        write-?downs?|impairment\w*|in\ the\ red|shortage|glut|squeez\w+|headwinds?|bear(?:ish)?|negative|
        pulled|terminat\w+|dispute|short\ of|shut\w*|clos(?:e|es|ing)\ \d+|unpaid|ill|ground(?:s|ed)|struggl\w+|
        threat\w*|freez\w+|deteriorat\w+|contaminat\w+|misleading|mis-selling|failures?|stay\ away|erasing""",
    "up": r"""ris(?:e|es|en|ing)|rose|climb\w*|jump\w*|soar\w*|surg\w+|grow(?:s|n|ing)?|grew|growth|increas\w+|
        advanc\w+|gain(?:ed|ing)|rais(?:e|es|ed|ing)|lift(?:s|ing)?|boost\w*|doubl\w+|tripl\w+|accelerat\w+|higher|
        up|improv\w+|widen\w*|leap\w*|spik\w+|swell\w*|highest|pick\w*\ up|more|steps\ up|rallied|bigger|larger""",
    "down": r"""fall(?:s|en|ing)?|fell|drop\w*|declin\w+|decreas\w+|slid\w*|slip\w*|sink\w*|sank|shr(?:ink\w*|ank|unk)|
        narrow\w*|eas(?:e|es|ed|ing)|cool\w*|cut(?:s|ting)?|lower\w*|slash\w*|trim\w*|reduc\w+|contract(?:s|ed|ing)\ |
        contract\w*\ again|halv\w+|down|los(?:t|es)\ \d|lowest|smallest|weakest|slow\w*|extend\w*\ (?:its|their)\ loss\w*""",
    "worse": r"""loss(?:es)?|unemployment|jobless\w*|costs?|debts?|deficit|inflation|price\ pressures?|default\w*|expenses|
        arrears|consumer\ prices|outflows?|claims|bankruptcies|volatility|trade\ gap|risks?|fuel|yields|wages""",
    "better": r"""profits?|earnings|revenues?|sales|income|margins?|shares?|stocks?|equities|index|dividends?|guidance|
        outlook|forecasts?|orders?|demand|exports?|output|economy|gdp|product|confidence|sentiment|rating|ratings|
        target|spending|production|activity|starts|jobs|bonuses|pay|cash|currency|pound|euro|oil|crude|prices""",
    "still": r"""unchanged|flat|steady|stable|in\ line|little\ (?:changed|moved)|holds?\ (?:\w+\ )?rates?|maintain\w*|
        confirm\w*|reiterat\w*|will|to\ (?:publish|report|hold|launch|merge|vote|discuss|debate|hear|present)|
        plans?|due|scheduled|await\w*|set\ for|extends?\ (?:the|trading)|names?|appoints?|nam(?:ed)\ a|unveil\w*""",
    "no": r"not|no|without|never|n't|fails?\ to|despite",
}

CHINESE = {
    "good": r"""超出?(?:市场|分析师)?预期|超预期|好于(?:市场)?预期|高于(?:市场)?|扭亏|扭亏为盈|创(?:历史)?新高|新高|刷新(?:历史)?纪录|涨停|
        反弹|领涨|走强|强势|强劲|回暖|改善|好转|中标|获批|批准|胜诉|获胜|驳回|撤销|解除|无违规|无过错|不成立|未予处罚|看好|好评|盛赞|叫好|
        欢迎|喜爱|热销|畅销|售罄|供不应求|旺盛|火爆|红火|饱满|充足|充裕|超额认购|溢价|高价|丰厚|突破|显著|达到主要目标|买入|增持|加仓|
        净流入|扩张|复苏|缓解|恢复|分红|加薪|奖金|最佳|最好|大单|大额订单|加盟|扩大招聘|新增.{0,4}(?:就业|岗位)|工作岗位|翻番|翻倍|提速|
        赔偿.{0,2}公司|获得|签(?:署|订)|完成.{0,12}融资|利好|赔偿\d|盈利|净赚|结束|提前|更快|稳定""",
    "bad": r"""不及(?:市场)?预期|低于|亏损|巨亏|预亏|转亏|由盈转亏|减值|警告|预警|担忧|忧虑|恐慌|跌停|暴跌|重挫|闪崩|新低|失守|违规|违约|
        欺诈|造假|立案|调查|处罚|被罚|罚款|起诉|诉讼|告上法庭|被捕|判刑|行贿|贿赂|洗钱|搜查|破产|爆仓|吊销|警示函|侵犯|污染|降级|减持|
        卖出|疲软|疲弱|走弱|低迷|恶化|严峻|加重|加剧|衰退|萎缩|收缩|召回|缺陷|故障|失败|告吹|破裂|终止|取消|否决|拒绝|撤回|退出|失去|
        痛失|推迟|延期|中断|崩溃|泄露|投诉|愤怒|质量差|滞销|停售|停产|停飞|叫停|停牌|短缺|紧缺|裁员|裁减|裁撤|关闭|辞职|辞任|离职|
        出走|罢免|解雇|罢工|内斗|丑闻|冻结|暂停|削减|降薪|积压|挤压|拖欠|批评|抛售|赎回|流出|过剩|陷入|隐患|不足|断供|被迫|千万别|不利|
        受影响|耗尽|纠纷|群龙无首|挪用|不适|发热|拖累|失守|突然""",
    "up": r"增长|大增|增加|上涨|大涨|上扬|上升|攀升|飙升|走高|升至|升温|上调|调高|提升|提高|回升|升|涨|扩大|翻倍|刷新|预增|走强",
    "down": r"下降|下滑|下跌|大跌|下挫|下调|减少|回落|跌至|走低|降至|骤降|收窄|降低|放缓|缓解|收跌|贬至|贬值|跌|降",
    "worse": r"亏损|失业率|失业|成本|债务|赤字|逆差|通胀|通货膨胀|物价|消费价格|违约|费用|负债|跌幅|跌势|原材料|收益率|不良",
    "better": r"""利润|净利|盈利|营收|收入|销售额?|毛利率|利润率|股价|股票|股市|指数|个股|业绩|指引|目标价?|订单|需求|出口|进口|产出|生产|
        景气度?|信心|评级|投资|消费|奖金|现金流|汇率|油价|房价|预期|预测|派息|分红|零售""",
    "still": r"""持平|不变|维持|保持|相同|一致|符合|变化不大|窄幅|将于|拟|定于|披露|公布|发布|召开|举行|审议|任命|聘任|聘请|更名|变更|推出|
        展示|介绍|提交|施行|生效|征求意见|等待|关注|休市|退休|卸任|续|迁至|调整""",
    "no": r"未能|未|没有|并非|不会|不再|无法",
}

TABLES = {"en": ENGLISH, "zh": CHINESE}
CLAUSES = {
    "en": r"[,;:.!?]\s|\s(?:as|after|despite|amid|but|while)\s",
    "zh": r"[，。；：！？、]|因",
}
REACH = {"en": 45, "zh": 9}
"""How many characters a direction reaches to the thing that moves."""


def cues(text: str, language: str) -> np.ndarray:
    """Return the counts of ``NAMES``, FP32, for a text in ``en`` or ``zh``."""
    found = dict.fromkeys(NAMES, 0.0)
    for clause in re.split(CLAUSES[language], text.lower()):
        _count(clause, language, found)
    found["balance"] = (
        found["good"]
        - found["bad"]
        + found["up"]
        - found["down"]
        - found["up_bad"]
        + found["down_bad"]
    )
    found["silent"] = float(not any(found[name] for name in NAMES[:6]))
    return np.clip(np.array(list(found.values()), np.float32), -MOST, MOST)


def verdict(counts: np.ndarray) -> str:
    """Return what the counts say without any training: the sign of their balance."""
    balance = float(counts[NAMES.index("balance")])
    return "positive" if balance > 0 else "negative" if balance < 0 else "neutral"


def _count(clause: str, language: str, found: dict[str, float]) -> None:
    places = {kind: _places(pattern, clause) for kind, pattern in _tables(language).items()}
    denied = bool(places["no"])
    found["negated"] += denied
    found["still"] += len(places["still"])
    for kind, other in (("good", "bad"), ("bad", "good")):
        found[other if denied else kind] += len(places[kind])
    for direction in ("up", "down"):
        for place in places[direction]:
            bad = _nearest(place, places["worse"]) < _nearest(place, places["better"])
            reach = _nearest(place, places["worse"]) <= REACH[language]
            found[f"{direction}_bad" if bad and reach else direction] += 1


def _nearest(place: int, places: list[int]) -> float:
    return min((abs(place - p) for p in places), default=float("inf"))


def _places(pattern: re.Pattern[str], clause: str) -> list[int]:
    return [match.start() for match in pattern.finditer(clause)]


@cache
def _tables(language: str) -> dict[str, re.Pattern[str]]:
    edge = r"\b" if language == "en" else ""
    return {
        kind: re.compile(f"{edge}(?:{pattern}){edge}", re.VERBOSE)
        for kind, pattern in TABLES[language].items()
    }
