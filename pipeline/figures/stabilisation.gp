# stabilisation: how the dominant direction settles during training, as acute angles in degrees.
# Left: to the run's last checkpoint and to the previous one; pale and dashed: the initial tokens'
# mean direction in one state, to its last value, which exists before any phase does. Dotted grey:
# the median angle of two random directions; grey triangles at the bottom: steps with findings. Right: runs that continue this one,
# to their parent's last checkpoint; on a scale of its own.
stats data using 0 nooutput
children = STATS_blocks - 1
stats data index 0 using 5 nooutput; chance = STATS_min
stats data index 0 using 6 nooutput; state = STATS_max
stats data index 0 using 1 nooutput; middle = STATS_median; span = STATS_max; points = STATS_records
first = span
settled = 0; stats data index 0 using (valid(2) ? settled = 1 : 0) nooutput
asked = 0; stats data index 0 using (column(7) > 0 ? asked = 1 : 0) nooutput
compared = 0; stats data index 0 using (valid(3) ? compared = 1 : 0) nooutput
stats data index 0 using ($1 > 0 && $1 < first ? first = $1 : 0) nooutput
branch = 0; furthest = 5
do for [i=1:children] {
  stats data index i using 1 nooutput; branch = STATS_max > branch ? STATS_max : branch
  stats data index i using 2 nooutput; furthest = STATS_max*1.15 > furthest ? STATS_max*1.15 : furthest
}
rows = children > 2 ? children : 2
head = 0.13 + 0.17*rows
tall = 2.5 + head
eval open_page(6.4, tall)
set multiplot
left = 0.085; right = 0.985; cut = children == 0 ? right : points < 2 ? 0.03 : 0.66
next_left = cut + 0.065
eval legend_page
if (points > 1) {
  set key at screen left - 0.02, 1 - 0.03/tall left top maxrows 2 samplen 3 width -1
  plot NaN with linespoints lt 1 title "direction, to the last", \
       NaN with linespoints lt 2 pt 4 title "to the previous", \
       NaN with lines lc rgb "#999999" dt (6,4) lw 1.6 title sprintf("initial tokens, state %d", state), \
       NaN with lines lc rgb "#555555" dt (1.5,3) lw 1.2 title "random pair"
}
if (children > 0) {
  set key at screen next_left, 1 - 0.03/tall left top maxrows rows samplen 2.5 width 0
  plot for [i=1:children] data index i using (-1):2 with linespoints lt i + 1 title columnheader(2)
}
eval panel_page
set tmargin at screen 1 - head/tall; set bmargin at screen 0.45/tall
set ylabel "acute angle (degrees)" offset 0.5,0
if (points > 1) {
  set yrange [0:92]
  set ytics 0,15
  set lmargin at screen left; set rmargin at screen cut - (children > 0)*0.01
  set xlabel "training step" offset 0,0.5
  eval step_axis(middle, first, span, 5)
  curves = "chance with lines lc rgb '#555555' dt (1.5,3) lw 1.2, data index 0 using 1:4 with lines lc rgb '#999999' dt (6,4) lw 1.6"
  if (compared) { curves = curves.", data index 0 using 1:3 with linespoints lt 2 pt 4 pi sparse(points)" }
  if (settled) { curves = curves.", data index 0 using 1:2 with linespoints lt 1 pi sparse(points)" }
  if (asked) { curves = curves.", data index 0 using ($7 > 0 ? $1 : NaN):(1.5) with points pt 9 ps 0.7 lc rgb '#777777'" }
  eval "plot ".curves
  unset nonlinear x
  unset ylabel
}
if (children > 0) {
  set yrange [0:(furthest > 90 ? 92 : furthest)]
  set ytics 0,round_tick(furthest/5)
  set lmargin at screen next_left; set rmargin at screen right
  set xlabel "step after the parent's last" offset 0,0.5
  set xrange [-0.04*branch:branch*1.06]
  set xtics 0, round_tick(branch/3.0); set format x "%.0f"
  plot chance with lines lc rgb "#555555" dt (1.5,3) lw 1.2, \
       for [i=1:children] data index i using 1:2 with linespoints lt i + 1
}
unset multiplot
