
# ---- common to all figures: open_page(width, height) gives the commands that begin one ----
if (!exists("format")) format = "png"
if (!exists("output")) output = name.".".format
data = name.".tsv"
set encoding utf8
set minussign
set datafile separator "\t"
set datafile missing "NaN"

# Inches. No enhanced text anywhere: an underscore in a name is an underscore.
pdf_page(w, h) = sprintf("set terminal pdfcairo noenhanced color size %g,%g font 'sans,8' fontscale 0.73 linewidth 1.8 pointscale 0.75", w, h)
svg_page(w, h) = sprintf("set terminal svg noenhanced size %g,%g font 'sans-serif,10' linewidth 1.2 background 'white'", w*96, h*96)
png_page(w, h) = sprintf("set terminal pngcairo noenhanced color size %g,%g font 'sans,8' fontscale 2.08 linewidth 2.2 pointscale 2.1", w*200, h*200)
open_page(w, h) = (format eq "pdf" ? pdf_page(w, h) : format eq "svg" ? svg_page(w, h) : png_page(w, h))."; set output output"

# Colours that colour-blind readers tell apart and that differ in lightness; dashes and markers differ too.
black = "#000000"; blue = "#0072B2"; red = "#D55E00"; green = "#009E73"; sky = "#56B4E9"; orange = "#E69F00"; purple = "#CC79A7"
set linetype 1 lc rgb black  lw 1.6 dt 1 pt 7  ps 0.45
set linetype 2 lc rgb blue   lw 1.6 dt (8,3) pt 5  ps 0.45
set linetype 3 lc rgb red    lw 1.6 dt (3,2) pt 9  ps 0.55
set linetype 4 lc rgb green  lw 1.6 dt (8,3,2,3) pt 13 ps 0.6
set linetype 5 lc rgb sky    lw 1.6 dt 1 pt 11 ps 0.6
set linetype 6 lc rgb orange lw 1.6 dt (8,3) pt 4  ps 0.5
set linetype 7 lc rgb purple lw 1.6 dt (3,2) pt 8  ps 0.6
set linetype 8 lc rgb "#777777" lw 1.6 dt (8,3,2,3) pt 12 ps 0.6
set linetype cycle 8

set border 3 lw 0.8 lc rgb "#333333"
set tics nomirror out scale 0.6,0.3 tc rgb "#222222"
set grid ytics lw 0.5 lc rgb "#dddddd" dt 1
set key noenhanced reverse Left spacing 1.15 samplen 3
set lmargin 0; set rmargin 0; set tmargin 0; set bmargin 0

# Viridis: dark to light in even steps of lightness, so that it reads in grey.
set palette defined (0 "#440154", 1 "#482878", 2 "#3e4a89", 3 "#31688e", 4 "#26828e", 5 "#1f9e89", 6 "#35b779", 7 "#6ece58", 8 "#b5de2b", 9 "#fde725")
# Text on such a colour, 0 to 1.
ink(x) = x < 0.55 ? 0xffffff : 0x000000

# Steps: linear, unless most of them crowd at the start (median below a twentieth of the last); then
# logarithmic with 0 at the origin. Call as:
# eval step_axis(median, smallest positive, last, about how many ticks).
power(x) = 10.0**floor(log10(x))
crowd(median, first, last) = first > 0 && last > first && median < 0.05*last
step_ticks(a, b, by) = a > b ? "" : sprintf(", \"%.0f\" %g", a, a).step_ticks(by*a, b, by)
decades(first, last, ticks) = log10(last/first) > ticks ? 100 : 10
log_steps(first, last, ticks) = sprintf("set nonlinear x via asinh(x/%g) inverse %g*sinh(x); set xrange [%g:%g]; set xtics (\"0\" 0%s)", \
  first, first, -0.3*first, last*1.5, step_ticks(power(first*9.99), last, decades(first, last, ticks)))
linear_steps(last, ticks) = sprintf("set xrange [%g:%g]; set xtics 0, %g; set format x '%%.0f'", \
  last > 0 ? -0.015*last : -1, last > 0 ? 1.03*last : 1, last > 0 ? round_tick(last/(1.0*ticks)) : 2)
step_axis(median, first, last, ticks) = crowd(median, first, last) ? log_steps(first, last, ticks) : linear_steps(last, ticks)
# Of many points some 30 have a marker; a line goes through all.
sparse(points) = points > 40 ? (points + 29)/30 : 1
# A round distance between ticks, about x.
mantissa(m) = m < 1.5 ? 1 : m < 3 ? 2 : m < 7 ? 5 : 10
round_tick(x) = x > 0 ? mantissa(x/power(x))*power(x) : 1
# An empty page under the panels of a multiplot, to hold their common legend.
legend_page = "unset border; unset tics; unset grid; set lmargin at screen 0; set rmargin at screen 1; set tmargin at screen 1; set bmargin at screen 0; set xrange [0:1]; set yrange [0:1]"
panel_page = "unset key; set border 3 lw 0.8 lc rgb '#333333'; set tics out scale 0.6,0.3 tc rgb '#222222'; set xtics nomirror; set ytics nomirror; set grid ytics lw 0.5 lc rgb '#dddddd' dt 1"
# ---- the figure ----
