"""Words that belong to a topic: ``mentions(text, language)`` counts them. The tables are our own."""

from __future__ import annotations

import re
from functools import cache

import numpy as np

TOPICS = ("earnings", "markets", "deals", "economy", "products", "legal", "people")
MOST = 3.0

ENGLISH = {
    "earnings": r"""earnings|profit\w*|loss(?:es)?|revenues?|margins?|results|dividends?|guidance|quarter\w*|half-year|
        full-year|annual\ report|net\ income|operating\ income|cash\ flow|same-store|break\ even|impairment\w*|webcast""",
    "markets": r"""shares?|stocks?|index|equities|bonds?|traders?|trading|exchange|rally|sell-?off|oil|crude|gold|silver|
        copper|dollar|euro|yen|pound|currenc\w+|analysts|upgrade\w*|downgrade\w*|price\ target|market|markets|volatility|
        nasdaq|dow|wall\ street|ounce|brokers?|outflows""",
    "deals": r"""merg\w+|takeover|acqui\w+|bid(?:der)?s?|stake|contract|joint\ venture|flotation|offering|funding|partner\w*|
        buyout|deal|deals|agreement|order\ worth|sale\ of|purchase\w*|bought|sold\ its|writedown\ on|letter\ of\ intent""",
    "economy": r"""econom\w+|inflation|gdp|gross\ domestic|unemployment|jobless\w*|central\ bank|interest\ rates?|rates\ steady|
        consumer\ (?:prices|confidence)|retail\ (?:sales|figures)|exports?|trade\ (?:gap|deficit)|recession|budget|treasury|
        finance\ ministers?|government|factory|industrial|manufacturing|housing|statistics|country\w*|nation\w*|tax\ rate""",
    "products": r"""launch\w*|recalls?|drug|vaccine|trial|phones?|laptop|tablet|app|devices?|vans?|jets?|engines?|batter\w+|
        reviews?|pre-orders|outage|software|processor|headphones|speakers|models?|products?|range|medicine|treatment|
        customers|customer\ records|unveil\w*|version|features|shortage|quality|website|production|packag\w+""",
    "legal": r"""court|judge|lawsuits?|sue[sd]?|fine|fined|regulators?|investigat\w+|probe|inquiry|prosecutors?|charged|fraud|
        bribery|police|trial\ is|hearing|law|laws|bill|rules?|patent|trademark|tribunal|appeals?|compliance|settle\w*|
        directive|filing|damages|convicted|arrested|licence|sanctions|bankruptcy|claims|commission|case""",
    "people": r"""chief|chair\w+|founder|executives?|directors?|board|staff|workers?|employees?|employer|jobs|hir(?:e|es|ing)|
        strike|pay\ rise|wages|bonus\w*|retire\w*|resign\w*|quits?|appoints?|names?|named|union|headcount|workforce|
        engineers|head\ office|headquarters|managers?|succeeds|steps\ down|lays?\ off|layoffs|remuneration|morale""",
}

CHINESE = {
    "earnings": r"""净利|利润|营收|营业收入|收入|亏损|盈利|扭亏|毛利|业绩|财报|季报|年报|半年报|年度报告|半年度报告|分红|派息|每股|减值|预增|预亏|
        财年|指引|会计|同店|现金流""",
    "markets": r"""股价|股票|股指|沪指|指数|港股|股市|个股|大盘|板块|涨停|跌停|收盘|收跌|休市|汇率|人民币|美元|欧元|日元|原油|油价|国际油价|
        黄金|白银|铜价|评级|目标价|券商|分析师|外资|资金|抛售|成交|交易所|主板|科创板|创业板|减持|上涨|中间价|中间|基金遭|收益率|停牌""",
    "deals": r"""收购|并购|合并|重组|融资|入股|股权|股份|中标|订单|合同|协议|合作|合资|竞标|竞购|上市申请|上市计划|要约|出售|认购|交割|意向书|
        买方|交易完成|评估|整合|标的|购置|购买|物业|大单|募股""",
    "economy": r"""经济|国内生产总值|失业|通胀|物价|消费价格|居民消费|制造业|采购经理|景气|消费者信心|企业信心|出口|进口|外贸|逆差|贸易|央行|
        利率|降准|财政|国债|国家|主权|预算|税率|增值税|统计局|零售|房地产|房价|工业|就业形势|就业人数|宏观|会议纪要""",
    "products": r"""新款|新药|疫苗|试验|临床|手机|平板|耳机|音箱|电池|软件|系统|产品|召回|发动机|机型|缺陷|云服务|网站|用户|投诉|发布会|预售|
        供不应求|热销|滞销|推出|系列|展示|展会|车展|套餐|资费|应用|版本|功能|参数|质量|生产线|产能|游戏|药监|上线|零部件|零件|包装|测评|评测""",
    "legal": r"""法院|法官|诉讼|起诉|判|罚|立案|调查|证监会|监管|违规|欺诈|造假|行贿|洗钱|警方|专利|商标|案|庭|法案|法律|新规|准则|征求意见|合规|
        赔偿|仲裁|胜诉|牌照|内幕交易|破产|处罚|税务|制裁|警示函|审理|立法|规则""",
    "people": r"""董事长|董事|总裁|首席|总监|高管|高层|经理人|基金经理|创始人|员工|工人|裁员|裁减|裁撤|招聘|就业岗位|岗位|工作岗位|罢工|加薪|
        薪酬|降薪|奖金|辞职|辞任|离职|离任|退休|卸任|任命|聘任|上任|加盟|雇主|工程师|飞行员|总部|工会|股东大会|监事|接替|接管|设计师|科学家|
        续约|续签|士气""",
}


def mentions(text: str, language: str) -> np.ndarray:
    """Return how many words of each of ``TOPICS`` a text holds, FP32, cut off at ``MOST``."""
    lower = text.lower()
    counts = [len(pattern.findall(lower)) for pattern in _tables(language)]
    return np.minimum(np.array(counts, np.float32), MOST)


@cache
def _tables(language: str) -> tuple[re.Pattern[str], ...]:
    table, edge = (ENGLISH, r"\b") if language == "en" else (CHINESE, "")
    return tuple(re.compile(f"{edge}(?:{table[t]}){edge}", re.VERBOSE) for t in TOPICS)
