"""Colours of bench.html and its drawings, light and dark: those of the report."""

PLOT = """
svg{font:12px system-ui,sans-serif;--c0:#1b2530;--c1:#0072b2;--c2:#c24d00;--c3:#00815d;
--c4:#a9487f;
--c5:#8a6d00;--c6:#5b4fc4;--ink:#1b2530;--soft:#566370;--line:#d9dfe5}
svg.plot{background:var(--card,#fff)}
svg text{fill:var(--ink)}svg .strong{font-weight:600}svg .tick,svg .axis{fill:var(--soft);
font-size:11px}
.grid{stroke:var(--line);stroke-width:.7}.base{stroke:var(--soft)}
.guide{stroke:var(--soft);stroke-dasharray:2 4}
.s0{--tone:var(--c0)}.s1{--tone:var(--c1)}.s2{--tone:var(--c2)}.s3{--tone:var(--c3)}
.s4{--tone:var(--c4)}.s5{--tone:var(--c5)}.s6{--tone:var(--c6)}
.series{fill:none;stroke:var(--tone);stroke-width:2}
.series.s1{stroke-dasharray:7 3}.series.s2{stroke-dasharray:3 3}
.series.s3{stroke-dasharray:10 3 2 3}
.series.s4{stroke-dasharray:5 2 1 2 1 2}.series.s5{stroke-dasharray:12 4}
.series.s6{stroke-dasharray:1 3}
.thin{stroke-width:.8;stroke-opacity:.5}
.band{fill:var(--tone);fill-opacity:.2}.median{fill:none;stroke:var(--tone);stroke-width:1.4}
@media(prefers-color-scheme:dark){svg{--c0:#e4e9ee;--c1:#5cb3ea;--c2:#ff9a5c;--c3:#45cfa5;
--c4:#e39cc4;
--c5:#f0d34f;--c6:#a99bff;--ink:#e4e9ee;--soft:#a3afba;--line:#2c3742}
svg.plot{background:var(--card,#171e26)}}
"""

PAGE = """
:root{color-scheme:light dark;--page:#f4f6f8;--card:#fff;--ink:#1b2530;--soft:#566370;
--line:#d9dfe5;
--fail:#a83208;--fail-bg:#fcebe4}
@media(prefers-color-scheme:dark){:root{--page:#10151b;--card:#171e26;--ink:#e4e9ee;
--soft:#a3afba;
--line:#2c3742;--fail:#ff9a73;--fail-bg:#3c1d13}}
*{box-sizing:border-box}
body{margin:0 auto;padding:0 1.25rem 3rem;max-width:76rem;background:var(--page);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;
font-variant-numeric:tabular-nums}
h1{font-size:1.35rem;line-height:1.3}h2{font-size:1.2rem;margin:0 0 .6rem}
.research,.muted{font-size:.85rem;color:var(--soft)}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;
padding:1.4rem 1.5rem;
margin-top:1.1rem}
.invalid{padding:.8rem 1rem;border:1px solid var(--fail);border-radius:8px;
background:var(--fail-bg)}
.notes{font-size:.88rem;color:var(--soft)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.88rem}
th,td{padding:.5rem .75rem .5rem 0;text-align:left;vertical-align:top;white-space:nowrap;
border-bottom:1px solid var(--line)}
thead th{font-size:.78rem;font-weight:600;color:var(--soft);vertical-align:bottom;
white-space:normal}
.legend{display:flex;flex-wrap:wrap;gap:.3rem 1.4rem;list-style:none;padding:0;font-size:.85rem}
.legend li{display:flex;align-items:center;gap:.4rem}
svg.plot{display:block;width:100%;height:auto;max-width:60rem}
svg.plot svg{overflow:hidden}
"""
