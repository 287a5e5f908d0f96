//! The page's style sheet: light and dark by the reader's setting, one column on a phone, black on white on
//! paper.

/// Everything between `<style>` and `</style>`.
pub const SHEET: &str = "\
:root{color-scheme:light dark;--bg:#fff;--fg:#1c2430;--soft:#5b6675;--line:#dce1e8;--pane:#f5f7fa;--blue:#2f6db5;--bar:#8fb6e3;\
--time:#b9a5dd;--ok:#1d7a46;--okbg:#e5f5ec;--warn:#8f5a00;--warnbg:#fdf2dc;--bad:#b3261e;--badbg:#fdeaea}\
@media(prefers-color-scheme:dark){:root{--bg:#14181e;--fg:#e3e8ee;--soft:#9aa6b5;--line:#303945;--pane:#1c222b;--blue:#7db2f0;\
--bar:#35618f;--time:#5d4c86;--ok:#6fd39b;--okbg:#16301f;--warn:#f0bd62;--warnbg:#35290f;--bad:#ff938b;--badbg:#3d1a19}}\
*{box-sizing:border-box}\
body{margin:0 auto;padding:1.5rem;max-width:76rem;background:var(--bg);color:var(--fg);\
font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','DejaVu Sans',sans-serif;overflow-wrap:anywhere}\
h1{font-size:1.6rem;line-height:1.25;margin:0}h2{font-size:1.15rem;margin:2.2rem 0 .6rem;padding-bottom:.3rem;border-bottom:1px solid var(--line)}\
h3{font-size:1rem;margin:1.2rem 0 .3rem}p{margin:.4rem 0}\
code,pre,.mono{font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}\
pre{background:var(--pane);border:1px solid var(--line);border-radius:6px;padding:.6rem .8rem;margin:.5rem 0;white-space:pre-wrap}\
.soft{color:var(--soft)}.num{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
header{display:flex;flex-wrap:wrap;gap:.5rem 1rem;align-items:center}\
.badge{display:inline-block;padding:.1rem .6rem;border-radius:1rem;font-size:.85rem;font-weight:600;white-space:nowrap}\
.ok{color:var(--ok)}.warn{color:var(--warn)}.bad{color:var(--bad)}\
.badge.ok{background:var(--okbg)}.badge.warn{background:var(--warnbg)}.badge.bad{background:var(--badbg)}\
.verdict{font-size:1.05rem;margin:.8rem 0 1.2rem}\
.error{border-left:4px solid var(--bad);background:var(--badbg);padding:.6rem .9rem;border-radius:0 6px 6px 0;margin:.6rem 0;white-space:pre-line}\
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.6rem;margin:0 0 1.2rem;padding:0}\
.figures div{background:var(--pane);border:1px solid var(--line);border-radius:8px;padding:.55rem .8rem}\
.figures dd{margin:0;font-size:1.25rem;white-space:nowrap;font-weight:600;font-variant-numeric:tabular-nums;line-height:1.3}\
.figures dt{color:var(--soft);font-size:.85rem}.figures div{display:flex;flex-direction:column-reverse;justify-content:flex-end}\
.facts{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1.2rem;margin:0}.facts dt{color:var(--soft)}.facts dd{margin:0}\
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:14px;overflow-wrap:break-word}td code{overflow-wrap:anywhere}\
th{font-weight:600;color:var(--soft);font-size:.8rem;text-align:left;vertical-align:bottom}th.num{text-align:right;white-space:normal}\
th,td{padding:.3rem .5rem;border-bottom:1px solid var(--line)}td{vertical-align:top;line-height:1.3}\
tfoot td{font-weight:600;border-bottom:0}td.bad{font-weight:600}td.num.bad{background:var(--badbg)}\
a{color:var(--blue)}nav{margin:1.4rem 0}nav>ul{columns:18rem;column-gap:2rem;padding:0;list-style:none}nav>ul>li{margin:.1rem 0}\
nav ul ul{font-size:.9rem}\
td.name{min-width:9rem;overflow-wrap:anywhere}.bar{display:block;height:5px;margin-top:3px;width:100%;min-width:5rem}\
.bar rect{fill:var(--bar)}.bar.t rect{fill:var(--time)}\
.picture{overflow-x:auto;border:1px solid var(--line);border-radius:8px;padding:.6rem;background:var(--pane)}\
.graph{display:block;margin:0 auto;width:100%;height:auto;font:13px system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','DejaVu Sans',sans-serif}\
.graph text{fill:var(--fg)}.graph .s,.graph .n{fill:var(--soft);font-size:11px}.graph .n{text-anchor:end}\
.b rect{fill:var(--bg);stroke:var(--line)}.b path{stroke-width:3;stroke-linecap:round;fill:none}\
.b.ok path{stroke:var(--ok)}.b.warn path{stroke:var(--warn)}.b.bad path{stroke:var(--bad)}.b.warn rect{stroke:var(--warn)}.b.bad rect{stroke:var(--bad)}\
.k path{fill:none;stroke:var(--soft);stroke-width:1.2;opacity:.75}.k .a{fill:var(--soft);stroke:none;opacity:1}\
.k:hover path{stroke:var(--blue);stroke-width:2.4;opacity:1}.k:hover .a{fill:var(--blue);stroke:none}\
.k.c path{stroke:var(--blue);stroke-dasharray:6 4}.k.c .a{fill:var(--blue);stroke:none}\
.k.v path{stroke:var(--warn);stroke-dasharray:2 3}.k.v .a{fill:var(--warn);stroke:none}\
.key{display:flex;flex-wrap:wrap;gap:.2rem 1.4rem;font-size:.85rem;color:var(--soft);margin:.5rem 0}\
.key svg{vertical-align:middle;margin-right:.4rem}\
ul{margin:.3rem 0;padding-left:1.2rem}li{margin:.2rem 0}details{margin:.5rem 0}summary{cursor:pointer;color:var(--blue)}\
.columns{columns:20rem;column-gap:2rem}.columns div{display:flex;justify-content:space-between;gap:1rem;border-bottom:1px solid var(--line);\
padding:.2rem 0;break-inside:avoid}\
footer{margin-top:2.5rem;padding-top:.6rem;border-top:1px solid var(--line);color:var(--soft);font-size:.85rem}\
@media(max-width:46rem){body{padding:1rem}h1{font-size:1.3rem}.facts{grid-template-columns:1fr;gap:0}.facts dd{margin-bottom:.5rem}\
.figures{grid-template-columns:repeat(2,1fr)}\
.cards thead,.cards td.order{display:none}.cards,.cards tbody,.cards tfoot,.cards td{display:block;width:100%}\
.cards tr{display:grid;grid-template-columns:1fr 1fr;gap:0 1.4rem;border:1px solid var(--line);border-radius:8px;padding:.4rem .7rem;margin:.6rem 0;background:var(--pane)}\
.cards td{border:0;padding:.1rem 0;text-align:left;min-width:0}.cards td[data-l]{display:flex;flex-wrap:wrap;justify-content:space-between;gap:0 1rem;white-space:normal}\
.cards td[data-l]::before{content:attr(data-l);color:var(--soft);font-size:.85rem}.cards td.name,.cards td.all{grid-column:1/-1}.cards td.name{font-weight:600;padding-bottom:.25rem}.cards td.name[data-n]::before{content:attr(data-n) '. ';color:var(--soft)}.cards code{text-align:right}.cards .name code{text-align:left}.cards td:empty,.cards td.no,.cards td.num.soft{display:none}}\
@media print{:root{color-scheme:light;--bg:#fff;--fg:#000;--soft:#444;--line:#bbb;--pane:#fff;--blue:#245a99;--bar:#8fb6e3;--time:#b9a5dd;\
--ok:#176338;--okbg:#fff;--warn:#7a4d00;--warnbg:#fff;--bad:#9b1c15;--badbg:#fff}\
@page{margin:14mm}details,nav{display:none}body{max-width:none;padding:0;font-size:10pt}table{font-size:8.5pt}code,pre{font-size:8.5pt}th,td{padding:.15rem .3rem}td.name{min-width:0}.bar{min-width:2.5rem}\
.badge{border:1px solid}.wide,.picture{overflow:visible}.graph{max-width:100%!important;min-width:0!important;max-height:250mm}\
tr,.figures div,.step,pre,.b{break-inside:avoid}h2,h3{break-after:avoid}thead{display:table-header-group}\
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}";
