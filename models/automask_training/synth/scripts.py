"""Writing systems: which characters a face must have, and random wording for each.

The wording carries no meaning on purpose: a detector should learn strokes, not phrases.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_HAN = (
    "一人大天山水火木金土日月年中小上下左右前後生口心手文字王女男子石花草雨雪空海川田本外多少名古今明夜朝春夏"
    "秋冬東西南北白黒赤青光風雲音色形道行来出入立見言食目足力百千万円先高安新正直美太平和国家主方分切公内友同"
    "合回寺店神龍命永愛夢愁悲希望自由世界者意知地場所時間物事好思長短早走番号電車会社員市民全部商品特別使用期"
    "限最初始終"
)
_HANS = (
    "的是不了在有我他这个们来为和说国时道要学会可主发年动成工作现对开经长图产品电脑网络视频关注官方旗舰店满减"
    "优惠热卖新款包邮正版授权严禁转载保护环境头条点击购买送货质量认证进口纯净轻便厚实耐磨静音华丽让东西买卖书"
    "马鸟鱼"
)
_HIRAGANA = (
    "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわをんがぎぐげござ"
    "じずだでどばびぶべぼぱぴぷぺぽっゃゅょ"
)
_KATAKANA = (
    "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワヲンガギグゲゴザ"
    "ジズダデドバビブベボパピプペポッャュョー"
)
_HANGUL = (
    "가나다라마바사아자차카타파하고노도로모보소오조초코토포호구누두루무부수우주추쿠투푸후그는들를민별산설성시"
    "신안영원은을이인일있전정제지진천한해행현화와의에게서하여대한국사랑공원봄여름가을겨울강물길빛꿈밤달꽃"
)
_CYRILLIC = "абвгдежзийклмнопрстуфхцчшщъыьэюя"
_ARABIC = "ابتثجحخدذرزسشصضطظعغفقكلمنهوي"
_THAI = "กขคงจชซญดตถทธนบปผฝพฟภมยรลวศษสหอฮ"
_THAI_MARKS = "ะาิีึืุู่้"
_HEBREW = "אבגדהוזחטיכלמנסעפצקרשתםןץף"
_DEVANAGARI = "कखगघचछजझटठडढतथदधनपफबभमयरलवशषसह"
_DEVANAGARI_MARKS = "ािीुूेैोौ"
_LATIN = "abcdefghijklmnopqrstuvwxyz"
_ACCENTED = "éèüöäñçåøßêîôÉÜÖ"

_WORDS_TEXT = """
the of and to in is you that it he was for on are as with his they at be this have from or one had by word but not
what all were we when your can said there use an each which she do how their if will up other about out many then
them these so some her would make like him into time has look two more write go see number no way could people my
than first water been call who oil its now find long down day did get come made may part new sound take only little
work know place year live me back give most very after thing our just name good sentence man think say great where
help through much before line right too mean old any same tell boy follow came want show also around form three
small set put end does another well large must big even such because turn here why ask went men read need land sale
fresh summer winter classic premium original limited edition quality natural organic coffee music night city river
forest castle north south harbor island queen knight dragon shadow silver golden storm kingdom
"""
_FIRST_TEXT = """
anna marco julia peter lena tom sara david nina oleg maria ivan kate john emma lucas mia felix yuki hana ken rin
alex robin chris sam jo max leo ella zoe ben carl dora erik fay
"""
_LAST_TEXT = """
schmidt rossi novak tanaka miller brown santos kim petrov larsen weber moreau costa nguyen lind walker stone woods
hill rivers lake black young king fox wolf hart moon frost reed lane
"""
_AGENCY_TEXT = """
photo image stock picture press media studio archive visual foto pix snap lens frame pixel vector art graphic depot
"""
_WORDS, _FIRST, _LAST, _AGENCY = (tuple(text.split()) for text in (_WORDS_TEXT, _FIRST_TEXT, _LAST_TEXT, _AGENCY_TEXT))
_AGENCY_TAIL = ("images", "stock", "photos", "media", "pictures", "press", "library", "studio", "works", "vault", "hub")
_TLD = (".com", ".net", ".org", ".cn", ".jp", ".de", ".io", ".art", ".me", ".com.cn", ".co.uk", ".ru", ".pl")
_NOTICE = (
    "SAMPLE",
    "PREVIEW",
    "PROOF",
    "DRAFT",
    "COPYRIGHT",
    "DO NOT COPY",
    "WATERMARK",
    "CONFIDENTIAL",
    "NOT FOR SALE",
)
_NOTICE_HAN = ("樣本", "見本", "禁止轉載", "版權所有", "非賣品")

SAMPLES: dict[str, str] = {
    "latin": _LATIN + _LATIN.upper() + "0123456789.,!?-&@:/()'",
    "accented": _ACCENTED,
    "han": _HAN,
    "hans": _HANS,
    "kana": _HIRAGANA + _KATAKANA,
    "hangul": _HANGUL,
    "cyrillic": _CYRILLIC + _CYRILLIC.upper(),
    "arabic": _ARABIC,
    "thai": _THAI + _THAI_MARKS,
    "hebrew": _HEBREW,
    "devanagari": _DEVANAGARI + _DEVANAGARI_MARKS,
    "copyright": "©",
}
"""Characters that a face must have, all of them, to count as able to write a script."""

COMPLEX_SCRIPTS = frozenset({"arabic", "thai", "hebrew", "devanagari"})
"""Scripts that need shaping or right-to-left order."""

VERTICAL_SCRIPTS = frozenset({"han", "hans", "kana", "hangul"})
"""Scripts that are also set in columns."""

SCRIPT_WEIGHTS: dict[str, float] = {
    "latin": 0.40,
    "han": 0.11,
    "hans": 0.11,
    "kana": 0.11,
    "hangul": 0.06,
    "cyrillic": 0.07,
    "arabic": 0.045,
    "thai": 0.03,
    "hebrew": 0.03,
    "devanagari": 0.035,
}


def _pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]


def _letters(rng: np.random.Generator, alphabet: str, count: int) -> str:
    return "".join(alphabet[int(i)] for i in rng.integers(len(alphabet), size=count))


def _alphabetic(rng: np.random.Generator, alphabet: str, words: int) -> str:
    return " ".join(_letters(rng, alphabet, int(rng.integers(2, 9))) for _ in range(words))


def _marked(rng: np.random.Generator, alphabet: str, marks: str, words: int) -> str:
    def syllable() -> str:
        return _pick(rng, alphabet) + (_pick(rng, marks) if rng.random() < 0.45 else "")

    return " ".join("".join(syllable() for _ in range(int(rng.integers(2, 6)))) for _ in range(words))


def cased(rng: np.random.Generator, text: str) -> str:
    """Return the text as is, capitalised, in title case or in capitals, at random."""
    return (text, text.capitalize(), text.title(), text.upper())[int(rng.choice(4, p=[0.15, 0.25, 0.3, 0.3]))]


def number(rng: np.random.Generator) -> str:
    """Return digits as they stand on signs, labels and price tags."""
    n = int(rng.integers(1, 10_000))
    forms = (
        str(n),
        f"{n / 100:.2f}",
        f"${n / 100:.2f}",
        f"{n % 100}%",
        f"#{n}",
        f"{n % 24:02d}:{n % 60:02d}",
        f"No. {n % 99}",
    )
    return _pick(rng, forms)


def words(rng: np.random.Generator, script: str, count: int) -> str:
    """Return `count` words (roughly two characters each for scripts without spaces) of a script."""
    if script == "latin":
        if rng.random() < 0.12:
            return number(rng)
        return cased(rng, " ".join(_pick(rng, _WORDS) for _ in range(count)))
    if script == "cyrillic":
        return cased(rng, _alphabetic(rng, _CYRILLIC, count))
    if script == "thai":
        return _marked(rng, _THAI, _THAI_MARKS, count)
    if script == "devanagari":
        return _marked(rng, _DEVANAGARI, _DEVANAGARI_MARKS, count)
    if script == "kana":
        kana = _HIRAGANA if rng.random() < 0.65 else _KATAKANA
        return _letters(rng, kana if rng.random() < 0.6 else kana + _HAN[:80], max(2, 3 * count))
    dense: dict[str, str] = {"han": _HAN, "hans": _HANS + _HAN[:60], "hangul": _HANGUL}
    if script in dense:
        text = _letters(rng, dense[script], max(2, 2 * count + int(rng.integers(0, 2))))
        return f"{text[:2]} {text[2:]}" if script == "hangul" and len(text) > 4 else text
    return _alphabetic(rng, {"arabic": _ARABIC, "hebrew": _HEBREW}[script], count)


def person(rng: np.random.Generator) -> str:
    """Return a made-up name of a photographer or painter."""
    first, last = _pick(rng, _FIRST), _pick(rng, _LAST)
    forms = (f"{first} {last}", f"{first[0]}. {last}", first, last, f"{first[0]}{last[0]}")
    text = forms[int(rng.choice(5, p=[0.4, 0.15, 0.2, 0.15, 0.1]))]
    return text.upper() if rng.random() < 0.2 else text.title()


def handle(rng: np.random.Generator) -> str:
    """Return a user name or an address on the web."""
    name = _pick(rng, ["", "the", "i_am_", "mr.", "x", "real"]) + _pick(rng, _FIRST) + _pick(rng, ["", "_", ".", "-"])
    name += _pick(rng, [*_LAST, *_AGENCY, str(int(rng.integers(1, 2010)))])
    site = name.replace("_", "").replace(".", "") + _pick(rng, _TLD)
    forms = (f"@{name}", site, f"www.{site}", f"https://{site}", f"{site}/{_pick(rng, _FIRST)}", name)
    text = forms[int(rng.choice(6, p=[0.38, 0.2, 0.17, 0.07, 0.08, 0.1]))]
    return text.upper() if rng.random() < 0.12 else text


def agency(rng: np.random.Generator) -> str:
    """Return a made-up name of a stock agency."""
    head, tail = _pick(rng, _AGENCY), _pick(rng, _AGENCY_TAIL)
    forms = (
        f"{head}{tail}",
        f"{head} {tail}",
        head + _pick(rng, ["ia", "o", "ly", "io", "ster", "eo", "ville"]),
        f"{_pick(rng, _LAST)} {tail}",
    )
    text = _pick(rng, forms)
    return (text, text.title(), text.upper())[int(rng.choice(3, p=[0.4, 0.35, 0.25]))]


def notice(rng: np.random.Generator, script: str = "latin") -> str:
    """Return what proofs and previews are stamped with."""
    return _pick(rng, _NOTICE_HAN) if script == "han" else _pick(rng, _NOTICE)


def copyright_line(rng: np.random.Generator, *, sign: str = "©") -> str:
    """Return a copyright or credit line; `sign` must be in the face that draws it."""
    year = int(rng.integers(1995, 2027))
    who = (person, handle, agency)[int(rng.integers(3))](rng)
    forms = (
        f"{sign} {who}",
        f"{sign}{year} {who}",
        f"{sign} {year} {who}",
        f"{who} {sign} {year}",
        f"Copyright {sign} {year} {who}",
        f"{sign} {who}. All rights reserved",
        f"Photo: {who}",
        f"Photo by {who}",
        f"{who} / {agency(rng)}",
        f"Credit: {who}",
        f"art by {who}",
    )
    return _pick(rng, forms)


def timestamp(rng: np.random.Generator) -> str:
    """Return a date, a time or both, as cameras burn them in."""
    y, mo, d = int(rng.integers(1994, 2027)), int(rng.integers(1, 13)), int(rng.integers(1, 29))
    h, mi, s = int(rng.integers(24)), int(rng.integers(60)), int(rng.integers(60))
    dates = (
        f"{y}/{mo:02d}/{d:02d}",
        f"{y}-{mo:02d}-{d:02d}",
        f"{d:02d}.{mo:02d}.{y}",
        f"'{y % 100:02d} {mo:2d} {d:2d}",
        f"{mo:02d}/{d:02d}/{y}",
        f"{y}.{mo}.{d}",
        f"{mo} {d} '{y % 100:02d}",
    )
    times = (f"{h:02d}:{mi:02d}", f"{h:02d}:{mi:02d}:{s:02d}", f"{(h % 12) + 1}:{mi:02d} {'AM' if h < 12 else 'PM'}")
    which = rng.random()
    if which < 0.45:
        return _pick(rng, dates)
    return _pick(rng, times) if which < 0.55 else f"{_pick(rng, dates)}  {_pick(rng, times)}"


def film_date(rng: np.random.Generator) -> str:
    """Return a date or a time as backs of film cameras wrote it, in groups of digits far apart."""
    y, mo, d = int(rng.integers(0, 100)), int(rng.integers(1, 13)), int(rng.integers(1, 32))
    gap = " " * int(rng.integers(1, 4))
    groups = ((f"'{y:02d}", f"{mo}", f"{d}"), (f"{mo}", f"{d}", f"'{y:02d}"), (f"{d}", f"{mo}", f"'{y:02d}"))
    time = (f"{d}", f"{int(rng.integers(24))}:{int(rng.integers(60)):02d}")
    return gap.join(time if rng.random() < 0.15 else groups[int(rng.integers(len(groups)))])


def camera(rng: np.random.Generator) -> str:
    """Return a made-up name of a camera or a phone, as camera bars show it."""
    name = agency(rng).split()[0].title()
    return f"{name} {_pick(rng, list('XZTGAM'))}{int(rng.integers(1, 900))}" + _pick(
        rng, ["", " Pro", " Ultra", " II", "s"]
    )


def exposure(rng: np.random.Generator) -> str:
    """Return focal length, aperture, shutter time and sensitivity."""
    focal, aperture = int(rng.integers(13, 201)), rng.uniform(1.4, 11)
    return f"{focal}mm  f/{aperture:.1f}  1/{int(2 ** rng.uniform(3, 12))}s  ISO{int(2 ** rng.uniform(5.7, 12))}"
