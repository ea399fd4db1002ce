# decay: at each decay layer, the eigenvalue nearest to the dominant direction, over training.
# Left: of the maps R (paper) and A + F (sum), which know no scale; the axis is linear near 0 and
# logarithmic beyond. Right: of the scaled map, beside the true relative change along the direction;
# -1 would take all of it away. The sign is what counts: decay is below the heavy line. An open
# marker: the eigenvector is more than 45 degrees from the direction and says little about it.
stats data using 0 nooutput
rows = STATS_blocks
stats data index 0 using 1 nooutput; middle = STATS_median; span = STATS_max; some = sparse(STATS_records)
first = span
stats data index 0 using ($1 > 0 && $1 < first ? first = $1 : 0) nooutput
# Limits, with 0 inside; column 4 paper, 6 sum, 8 scaled, 3 true.
wide_low = -1; wide_high = 1; low = -1; high = 0.2
do for [c in "4 6"] { stats data using (v = column(int(c)), wide_low = v < wide_low ? v : wide_low, wide_high = v > wide_high ? v : wide_high, 0) nooutput }
do for [c in "3 8"] { stats data using (v = column(int(c)), low = v < low ? v : low, high = v > high ? v : high, 0) nooutput }
crowded = wide_high - wide_low > 200
tall = 0.53 + 1.9*rows
eval open_page(6.6, tall)
set multiplot
eval legend_page
set key at screen 0.52, 1 - 0.03/tall center top horizontal maxrows 1 samplen 3 width -1
plot NaN with linespoints lc rgb red dt (3,2) pt 9 ps 0.6 lw 1.4 title "paper: R", \
     NaN with linespoints lc rgb blue dt (8,3) pt 5 ps 0.5 lw 1.4 title "sum: A + F", \
     NaN with linespoints lc rgb green dt (8,3,2,3) pt 13 ps 0.65 lw 1.4 title "scaled: R_s", \
     NaN with linespoints lc rgb black dt 1 pt 7 ps 0.5 lw 1.6 title "true change"
eval panel_page
eval step_axis(middle, first, span, 4)
# A marker that is not wanted lies outside: far(step, angle of the eigenvector, whether far is wanted).
far(x, a, wanted) = (a > 45) == wanted ? x : -1e9
do for [i=0:rows-1] {
  stats data index i every ::0::0 using (head = strcol(2), 0) nooutput
  set tmargin at screen 1 - (0.42 + 1.9*i)/tall; set bmargin at screen 1 - (0.42 + 1.9*i + 1.55)/tall
  if (i == rows - 1) { set xlabel "training step" offset 0,0.5 } else { unset xlabel }

  set lmargin at screen 0.10; set rmargin at screen 0.49
  set ylabel head.": eigenvalue" offset 0.2,0
  set nonlinear y via asinh(y/2.0) inverse 2*sinh(y)
  set yrange [wide_low*1.4:wide_high*1.4]
  set ytics ("0" 0)
  set for [e=crowded:6] for [m=1:(crowded ? 1 : 3):2] ytics add (sprintf("%g", m*10**e) m*10**e, sprintf("−%g", m*10**e) -m*10**e)
  plot 0 with lines lc rgb "#555555" dt 1 lw 1.6, \
       data index i using 1:4 with lines lc rgb red dt (3,2) lw 1.4, \
       data index i using (far($1, $5, 0)):4 every some with points lc rgb red pt 9 ps 0.6, \
       data index i using (far($1, $5, 1)):4 every some with points lc rgb red pt 8 ps 0.6 lw 0.7, \
       data index i using 1:6 with lines lc rgb blue dt (8,3) lw 1.4, \
       data index i using (far($1, $7, 0)):6 every some with points lc rgb blue pt 5 ps 0.5, \
       data index i using (far($1, $7, 1)):6 every some with points lc rgb blue pt 4 ps 0.5 lw 0.7
  unset nonlinear y

  set lmargin at screen 0.60; set rmargin at screen 0.985
  set ylabel "relative change, eigenvalue" offset 0,0
  set yrange [low - 0.1*(high - low):high + 0.1*(high - low)]
  set ytics autofreq; set format y "%g"
  plot 0 with lines lc rgb "#555555" dt 1 lw 1.6, \
       data index i using 1:8 with lines lc rgb green dt (8,3,2,3) lw 1.4, \
       data index i using (far($1, $9, 0)):8 every some with points lc rgb green pt 13 ps 0.65, \
       data index i using (far($1, $9, 1)):8 every some with points lc rgb green pt 12 ps 0.65 lw 0.7, \
       data index i using 1:3 with linespoints pi some lc rgb black dt 1 pt 7 ps 0.5 lw 1.6
}
unset multiplot
