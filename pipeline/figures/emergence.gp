# emergence: how far the initial tokens stand out, over training; one line per run.
# Vertical: the largest ratio, over the states, of the initial tokens' mean norm to the other
# tokens' median norm. A large open circle: the checkpoint has a phase of high norms. A grey
# triangle at the bottom: a finding. Left: runs from scratch. Right: runs that continue another one,
# from their parent's last checkpoint on.
stats data using 0 nooutput
n = STATS_blocks
array child[n]; array some[n]
roots = 0; children = 0; span = -1; branch = 1
longest = 0; root_list = ""; child_list = ""
do for [i=1:n] {
  stats data index i-1 every ::0::0 using (child[i] = int(strcol(5)), letters = strlen(strcol(3)), 0) nooutput
  longest = letters > longest ? letters : longest
  stats data index i-1 using 1 nooutput
  some[i] = sparse(STATS_records)
  if (child[i]) { children = children + 1; child_list = child_list.sprintf(" %d", i); branch = STATS_max > branch ? STATS_max : branch }
  if (!child[i]) { roots = roots + 1; root_list = root_list.sprintf(" %d", i); if (STATS_max > span) { span = STATS_max; middle = STATS_median } }
}
first = span
stats data using ($1 > 0 && $1 < first ? first = $1 : 0) nooutput
stats data using 3 nooutput; low = STATS_min; high = STATS_max
columns = int(6.2/(0.95 + 0.085*longest))
columns = columns < 1 ? 1 : columns > n ? n : columns
rows = (n + columns - 1)/columns
tall = 2.6 + 0.17*rows
eval open_page(6.4, tall)
set multiplot
eval legend_page
set key at screen 0.5, 1 - 0.03/tall center top horizontal maxcols columns samplen 3.5 width -1
plot for [i=1:n] data index i-1 using (-1):3 with linespoints lt i title columnheader(3)
eval panel_page
set logscale y
floor_y = (low < 1 ? low/1.2 : 0.85)*1.04
set yrange [(low < 1 ? low/1.2 : 0.85):high*1.3]
set ytics (1)
set for [e=-2:4] for [m in "1 2 5"] ytics add (sprintf("%g", m*10.0**e) m*10.0**e)
set tmargin at screen 1 - (0.13 + 0.17*rows)/tall; set bmargin at screen 0.45/tall
left = 0.085; right = 0.985; cut = children == 0 ? right : roots == 0 ? left : 0.70
set ylabel "norm ratio, initial to other tokens" offset 0.5,0
if (roots) {
  set xlabel "training step" offset 0,0.5
  set lmargin at screen left; set rmargin at screen cut - (children > 0)*0.015
  eval step_axis(middle, first, span, 6)
  plot for [i in root_list] data index int(i)-1 using 1:3 with linespoints lt int(i) pi some[int(i)], \
       for [i in root_list] data index int(i)-1 using ($4 > 0 ? $1 : -1e9):3 every some[int(i)] with points pt 6 ps 1.3 lw 0.5 lc rgb "#555555", \
       for [i in root_list] data index int(i)-1 using ($5 > 0 ? $1 : -1e9):(floor_y) with points pt 9 ps 0.7 lc rgb "#777777"
  unset nonlinear x
  set format y ""; unset ylabel
  set for [e=-2:4] for [m in "1 2 5"] ytics add ("" m*10.0**e)
}
if (children) {
  set xlabel "step after the parent's last" offset 0,0.5
  set lmargin at screen cut + (roots > 0)*0.015; set rmargin at screen right
  set xrange [-0.04*branch:branch*1.06]
  set xtics 0, round_tick(branch/3.0); set format x "%.0f"
  plot for [i in child_list] data index int(i)-1 using 1:3 with linespoints lt int(i) pi some[int(i)], \
       for [i in child_list] data index int(i)-1 using ($4 > 0 ? $1 : -1e9):3 every some[int(i)] with points pt 6 ps 1.3 lw 0.5 lc rgb "#555555", \
       for [i in child_list] data index int(i)-1 using ($5 > 0 ? $1 : -1e9):(floor_y) with points pt 9 ps 0.7 lc rgb "#777777"
}
unset multiplot
