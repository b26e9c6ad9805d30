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
        bull(?:ish)?|favou?r|compensation|lifted|ahead\ of|handsome|generous|respected|leads?|returns?\ to|
        excellent|superb|brilliant|fantastic|amazing|terrific|impressive|stellar|happy|delight\w*|thrilled|pleased|perfect|
        good|better|nice|clever|smart|bargain|undervalued|cheap\ at|upside|overweight|buy\ (?:rating|the\ dip)|outpac\w+|
        thriv\w+|flourish\w*|prosper\w*|heal\w*|rescu\w+|saviour|vindicat\w+|exonerat\w+|innocent|reinstat\w+|
        unveils\ buyback|buybacks?|repurchas\w+|promising|opportunit\w+|unlock\w*|win-win|coveted|popular|favourite|
        bestsell\w+|flying\ off|snapped\ up|queu\w+\ (?:up|round|for)|waiting\ lists?|beloved|trust\w*|reliable|
        resilien\w+|bottomed|brighten\w*|bright|buoyant|perk\w*\ up|averted|avoid\w*|truce|reward\w*|
        profits?\ from|benefit\w*|debt-free|tailwinds?|green\ light|go-ahead|milestone|triumph\w*|victory|praise""",
    "bad": r"""miss(?:es|ed)?|warn\w*|fears?|worr\w+|concerns?|fraud\w*|scandal|fined?|fines|penalt\w+|lawsuits?|
        sue[sd]?|charg(?:es|ed)|probe|investigat\w+|inquiry|raid\w*|brib\w+|launder\w+|convict\w+|guilty|arrest\w*|
        bankrupt\w*|insolven\w*|defaults?|downgrad\w+|weak\w*|disappoint\w*|poor|terrible|recall\w*|fault\w*|defect\w*|
        fail\w*|collaps\w+|block(?:s|ed)|reject\w*|cancel\w*|scrap\w*|suspend\w*|halt\w*|delay\w*|postpon\w+|outage|
        offline|breach|crash\w*|overheat\w*|complain\w*|angry|critici\w+|balk|los(?:es?|ing|t)|layoffs?|lays?\ off|
        laid\ off|axe[sd]?|job\ cuts|quits?|resign\w*|ousted|abrupt\w*|strike[sd]?|walk\ ?out|walk\w*\ away|row|
        recession|crisis|slump\w*|plung\w+|tumbl\w+|plummet\w*|rout|sell-?off|dump\w*|panic|junk|writ\w+\ (?:off|down)|
        write-?downs?|impairment\w*|in\ the\ red|shortage|glut|squeez\w+|headwinds?|bear(?:ish)?|negative|
        pulled|terminat\w+|dispute|short\ of|shut\w*|clos(?:e|es|ing)\ \d+|unpaid|ill|ground(?:s|ed)|struggl\w+|
        threat\w*|freez\w+|frozen|deteriorat\w+|contaminat\w+|misleading|mis-selling|failures?|stay\ away|erasing|
        bad|worse|worst|awful|dreadful|dire|grim|bleak|gloom\w*|dismal|ugly|horrible|rubbish|garbage|useless|broken|mess|
        flop\w*|dud|disaster\w*|catastroph\w+|nightmare|trouble\w*|problems?|pain\w*|hurt\w*|damag\w+|harm\w*|suffer\w*|
        bleed\w*|burn(?:s|ed|ing)?|evaporat\w+|vanish\w*|wip(?:e|ed|es)\ (?:out|off)|gutted|stuck|stall\w*|stagnat\w*|
        desert\w*|flee\w*|fled|exodus|abandon\w*|shun\w*|boycott\w*|dried\ up|run\w*\ out|overpriced|
        overvalued|bubble|scam|fake\w*|cheat\w*|lied|lying|cover-?up|crook\w*|jail\w*|prison|sentenc\w+|seiz\w+|
        blacklist\w*|banned|bans?|barred|revok\w+|sham|toxic|illegal|bust|broke|collaps\w+|delist\w*|dilut\w+|
        underweight|sell\ rating|downside|dismiss(?:ed|es)\ (?:its|his|her|\d)|sack\w*|fir(?:es|ed)|redundan\w+|infighting|
        feud|harass\w*|chaos|turmoil|angr\w+|furious|outrage|revolt|regret\w*|shock\w*|late|behind|sluggish|lacklustre|
        anaemic|shak\w+|shaken|shelv\w+|ditch\w*|scupper\w*|derail\w*|fall\w*\ (?:apart|through)|cold\ feet|hack\w*|stolen|
        leak\w*|fire|blaze|explod\w+|injur\w+|kill\w*|dead|death|hidden|unsold|overdue|bail-?out|withdr[ae]w\w*|doubts?|
        trap|victims?|blow|toll|bite|bit|distress\w*|drought|shrinking|erod\w+|eroding""",
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
    "no": r"not|no|without|never|\w+n't|cannot|hardly|neither|nor|nobody|none",
}

CHINESE = {
    "good": r"""超出?(?:市场|分析师)?预期|超预期|好于(?:市场)?预期|高于(?:市场)?|扭亏|扭亏为盈|创(?:历史)?新高|新高|刷新(?:历史)?纪录|涨停|
        反弹|领涨|走强|强势|强劲|回暖|改善|好转|中标|获批|批准|胜诉|获胜|驳回|撤销|解除|无违规|无过错|不成立|未予处罚|看好|好评|盛赞|叫好|
        欢迎|喜爱|热销|畅销|售罄|供不应求|旺盛|火爆|红火|饱满|充足|充裕|超额认购|溢价|高价|丰厚|突破|显著|达到主要目标|买入|增持|加仓|
        净流入|扩张|复苏|缓解|恢复|分红|加薪|奖金|最佳|最好|大单|大额订单|加盟|扩大招聘|新增.{0,4}(?:就业|岗位)|工作岗位|翻番|翻倍|提速|
        赔偿.{0,2}公司|获得|签(?:署|订)|完成.{0,12}融资|利好|赔偿\d|盈利|净赚|结束|提前|更快|稳定|
        赚钱|挣钱|赚了|大赚|暴赚|吃肉|起飞|涨停板|牛市|大牛|龙头|黑马|抢购|抢空|疯抢|爆款|卖爆|爆单|爆满|
        一房难求|一票难求|人气|真香|好用|给力|点赞|满意|放心|惊喜|欢呼|欣喜|超值|划算|便宜货|低估|抄底|潜力|前景广阔|潜力巨大|
        亮眼|靓丽|炸裂|喜人|可喜|漂亮|优异|优秀|出色|领先|第一|冠军|夺|摘得|拿下|斩获|喜提|斥资.{0,6}回购|回购|护盘|举牌|社保基金|
        跑赢|推荐|买入评级|翻红|收复|止跌|企稳|回血|回升|触底|走出|摆脱|脱困|化解|破冰|复工|复产|转正|转好|盘活|减负|松绑|放宽|
        绿灯|放行|通过|过会|无罪|免于|撤案|昭雪|和解|摘帽|保住|挽救|起死回生|逆袭|腾飞|蒸蒸日上|欣欣向荣|如虎添翼|锦上添花|
        水涨船高|节节|再上台阶|新台阶|赢|双赢|共赢|受益|红利|丰收|富裕|松了口气|火热|升级成功|神药|治愈|有效|安全可靠|
        众望所归|回归|加码|扩招|转正|涨薪|发奖|犒劳|激励|口碑好|良心""",
    "bad": r"""不及(?:市场)?预期|低于|亏损|巨亏|预亏|转亏|由盈转亏|减值|警告|预警|担忧|忧虑|恐慌|跌停|暴跌|重挫|闪崩|新低|失守|违规|违约|
        欺诈|造假|立案|调查|处罚|被罚|罚款|起诉|诉讼|告上法庭|被捕|判刑|行贿|贿赂|洗钱|搜查|破产|爆仓|吊销|警示函|侵犯|污染|降级|减持|
        卖出|疲软|疲弱|走弱|低迷|恶化|严峻|加重|加剧|衰退|萎缩|收缩|召回|缺陷|故障|失败|告吹|破裂|终止|取消|否决|拒绝|撤回|退出|失去|
        痛失|推迟|延期|中断|崩溃|泄露|投诉|愤怒|质量差|滞销|停售|停产|停飞|叫停|停牌|短缺|紧缺|裁员|裁减|裁撤|关闭|辞职|辞任|离职|
        出走|罢免|解雇|罢工|内斗|丑闻|冻结|暂停|削减|降薪|积压|挤压|拖欠|批评|抛售|赎回|流出|过剩|陷入|隐患|不足|断供|被迫|千万别|不利|
        受影响|耗尽|纠纷|群龙无首|挪用|不适|发热|拖累|失守|突然|
        破发|腰斩|清仓|套牢|深套|站岗|接盘|踏空|韭菜|熊市|血亏|亏惨|亏光|赔本|赔钱|烧钱|烧掉|打水漂|血本无归|
        暴雷|爆雷|踩雷|雷股|变脸|翻车|塌房|崩盘|崩了|瘫痪|瘫了|闪退|起火|爆炸|坍塌|事故|伤亡|死亡|坑|垃圾|最烂|太差|难用|骗|忽悠|
        烂摊子|失望|惨淡|惨|糟|差劲|遇冷|门可罗雀|无人问津|没人要|卖不动|卖不掉|无人接盘|退订|维权|骂|吐槽|抵制|
        黄了|泡汤|搁浅|触礁|谈崩|散伙|不欢而散|夭折|流产|落空|出局|落败|痛失|丢掉|丢了|跑路|失联|带走|落马|查封|扣押|
        拘留|获刑|入狱|坐牢|罚单|监管函|问询函|黑名单|实体清单|退市|戴帽|做假|注水|掩盖|隐瞒|败诉|剽窃|索赔|吊销|接管|
        倒闭|关停|停摆|停工|拉闸|下岗|走人|优化.{0,3}人|扫地出门|不辞而别|挖走|跳槽|内讧|欠薪|讨薪|降级|缩水|
        蒸发|流失|外逃|出逃|套现|抛出|做空|砸盘|飘绿|绿油油|冰封|寒冬|冰点|谷底|泥潭|深渊|雪上加霜|一落千丈|每况愈下|举步维艰|
        岌岌可危|入不敷出|捉襟见肘|资不抵债|四面楚歌|釜底抽薪|一蹶不振|一塌糊涂|人心惶惶|人心涣散|得不偿失|难以为继|后劲不足|乏力|不振|
        萎靡|承压|吃紧|紧张|压力|风险|危机|断裂|泡沫|高估|太贵|过高|摊薄|落袋为安|观望|减记|减半|砍|跳票|一拖再拖|难产|
        叫苦|发愁|着急|担心|大不如前|远逊|倒退|负增长|窟窿|亏空""",
    "up": r"增长|大增|增加|上涨|大涨|上扬|上升|攀升|飙升|走高|升至|升温|上调|调高|提升|提高|回升|升|涨|扩大|翻倍|刷新|预增|走强",
    "down": r"下降|下滑|下跌|大跌|下挫|下调|减少|回落|跌至|走低|降至|骤降|收窄|降低|放缓|缓解|收跌|贬至|贬值|跌|降",
    "worse": r"亏损|失业率|失业|成本|债务|赤字|逆差|通胀|通货膨胀|物价|消费价格|违约|费用|负债|跌幅|跌势|原材料|收益率|不良",
    "better": r"""利润|净利|盈利|营收|收入|销售额?|毛利率|利润率|股价|股票|股市|指数|个股|业绩|指引|目标价?|订单|需求|出口|进口|产出|生产|
        景气度?|信心|评级|投资|消费|奖金|现金流|汇率|油价|房价|预期|预测|派息|分红|零售""",
    "still": r"""持平|不变|维持|保持|相同|一致|符合|变化不大|窄幅|将于|拟|定于|披露|公布|发布|召开|举行|审议|任命|聘任|聘请|更名|变更|推出|
        展示|介绍|提交|施行|生效|征求意见|等待|关注|休市|退休|卸任|续|迁至|调整""",
    "no": r"未能|未|没有|没|并非|不会|不再|无法|无需|免于|避免|不必",
}

PHRASES = {
    "en": {
        "good": r"""(?:\w+\ )?(?:not|less|better|smaller|fewer|lower|cheaper)\b[^,;.]{0,25}\bthan\ (?:feared|expected\ (?:loss|fine|fall|drop))|
            not\ as\ (?:bad|weak|severe|steep)(?:ly)?\ as|less\ (?:bad|severe|weak|steep)\b|no\ longer\ (?:loss|in\ the\ red|junk)|
            (?:narrow\w*|small\w*|few\w*|cut\w*|shr[aiu]nk\w*|reduc\w+|trim\w*|halv\w+|stem\w*|par(?:e|ed|es)|eras\w+)\ (?:\w+\ ){0,2}loss(?:es)?|
            loss(?:es)?\ (?:\w+\ ){0,2}(?:narrow\w*|shr[aiu]nk\w*|eas\w+|halv\w+|fell|falls)|out\ of\ the\ (?:red|woods)|back\ in\ the\ black|
            in\ the\ black|(?:decline|slump|fall|downturn|recession)\ (?:is\ |was\ )?(?:eas\w+|slow\w*|over|end\w*|bottom\w*)|
            (?:strike|walkout|recall|ban|layoffs?)\ (?:is\ |was\ )?(?:called\ off|averted|lifted|over)|not\ guilty|no\ (?:layoffs|wrongdoing|breach)|
            (?:drop\w*|dismiss\w*|thr[eo]w\w*\ out|clos\w+)\ (?:\w+\ ){0,3}(?:charges|case|lawsuit|suit|inquiry|probe|investigation|claims)""",
        "bad": r"""(?:fail\w*|unable|struggl\w+|refus\w+|powerless)\ to\ \w+|fall\w*\ short|fell\ short|short\ of|below\ (?:\w+\ ){0,2}(?:expectations|estimates?|forecasts?|consensus|offer)|
            (?:less|lower|worse|weaker|slower)\ than\ (?:\w+\ ){0,2}(?:expected|hoped|forecast|last)|cut\w*\ (?:\w+\ ){0,3}(?:jobs|guidance|outlook|forecasts?|dividend|target)|
            (?:widen\w*|deep\w*|bigger|larger|mount\w*)\ (?:\w+\ ){0,2}loss(?:es)?|loss(?:es)?\ (?:\w+\ ){0,2}(?:widen\w*|deepen\w*|mount\w*|gr[eo]w\w*|doubl\w+)|
            in\ the\ red|into\ the\ red|gave\ back|giv\w+\ back\ all|lost\ (?:its|their)\ appeal|lost\ (?:steam|ground)|never\ came|no\ (?:dividend|buyers?|demand|interest)""",
        "": r"despite\ [^,;.]*|(?:even\ )?though\ [^,;.]*|in\ spite\ of\ [^,;.]*",
    },
    "zh": {
        "good": r"""(?:亏损|跌幅|降幅|逆差|缺口|赤字)[^，。；]{0,8}(?:收窄|缩小|减少|下降)|(?:收窄|减少|缩小)[^，。；]{0,4}亏损|减亏|亏得[^，。；]{0,8}少|
            没有?[^，。；]{0,6}(?:想象|预期|预想|担心)[^，。；]{0,6}(?:差|糟|坏|严重)|扭亏(?:为盈)?|摘帽|止跌(?:回升)?|(?:未|没)(?:有)?发现[^，。；]{0,6}(?:问题|违规|异常)|
            不裁|罢工[^，。；]{0,4}(?:取消|结束|避免)|(?:撤销|取消|解除|驳回|不成立|撤回)[^，。；]{0,8}(?:风险|警示|处罚|诉讼|指控|起诉|限制|禁令)|
            (?:诉讼|指控|起诉|罪名)[^，。；]{0,6}(?:驳回|不成立|撤销)|不良[^，。；]{0,4}双降|降准|降息|(?:少|轻|好|早)于?(?:预期|预想|担心)|跌势[^，。；]{0,4}(?:止|缓)""",
        "bad": r"""加息|(?:不及|低于|未达|逊于|差于|没达到)[^，。；]{0,6}(?:预期|目标|预测|同期|去年)|由盈转亏|增收不增利|(?:亏损|跌幅|降幅|逆差)[^，。；]{0,6}(?:扩大|加深|增加)|
            计提[^，。；]{0,10}(?:减值|准备)|商誉减值|跌破[^，。；]{0,8}(?:发行价|关口)|首日破发|(?:未能|没能|无法|难以)[^，。；]{1,8}|不(?:再续约|给退|批准|达标)|
            下调[^，。；]{0,12}(?:评级|目标|指引|预测)|(?:高管|股东)[^，。；]{0,6}(?:减持|套现)|撤回[^，。；]{0,6}(?:指引|申请)|减半""",
        "": r"(?:尽管|虽然|虽|大环境不好)[^，。；]*，",
    },
}
"""Turns of speech that say another thing than their words: they are counted first and taken out of the text.
Those without a name are taken out only: what somebody does in spite of something is what counts."""

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
    text = text.lower()
    for kind, pattern in _phrases(language).items():
        text, times = pattern.subn(" ", text)
        if kind:
            found[kind] += times
    for clause in re.split(CLAUSES[language], text):
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
def _phrases(language: str) -> dict[str, re.Pattern[str]]:
    edge = r"\b" if language == "en" else ""
    return {
        kind: re.compile(f"{edge}(?:{pattern})" + edge * bool(kind), re.VERBOSE)
        for kind, pattern in PHRASES[language].items()
    }


@cache
def _tables(language: str) -> dict[str, re.Pattern[str]]:
    edge = r"\b" if language == "en" else ""
    return {
        kind: re.compile(f"{edge}(?:{pattern}){edge}", re.VERBOSE)
        for kind, pattern in TABLES[language].items()
    }
