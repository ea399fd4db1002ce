# norms: the norm of the residual stream after each layer, one panel per checkpoint.
# Line with markers: mean over the initial tokens; thin line: median of all other tokens; dotted:
# the largest of all other tokens. Where the first leaves the second by a large factor and comes
# back, a phase of high norms begins at an explosion layer and ends at a decay layer.
stats data using 0 nooutput
n = STATS_blocks
stats data using 3 nooutput; low = STATS_min; high = STATS_max; states = STATS_records/n - 1
stats data using 4 nooutput; low = STATS_min < low ? STATS_min : low
stats data using 5 nooutput; high = STATS_max > high ? STATS_max : high
array heads[n]
do for [i=1:n] { stats data index i-1 every ::0::0 using (heads[i] = strcol(2), 0) nooutput }
wide = n < 3 ? 4.6 : 0.75 + n*1.6
eval open_page(wide, 2.4)
set multiplot
eval legend_page
set key at screen 0.52, 1 - 0.04/2.4 center top horizontal maxrows 1 samplen 3 width -3
plot NaN with linespoints lc rgb black dt 1 lw 1.6 pt 7 ps 0.5 title "initial tokens (mean)", \
     NaN with lines lc rgb blue dt 1 lw 1.0 title "others (median)", \
     NaN with lines lc rgb red dt (2,2.5) lw 1.6 title "others (largest)"
eval panel_page
set logscale y
set yrange [low/1.3:high*1.3]
set xrange [-0.04*states-0.05:1.04*states+0.05]
set xtics 0, (states <= 8 ? 1 : round_tick(states/5.0))
set format y "%g"
marked = states > 24 ? -(states/12) : -1
left = 0.55/wide; each = (1 - left - 0.04/wide)/n; space = 0.05*each
set tmargin at screen 1 - 0.42/2.4; set bmargin at screen 0.43/2.4
set xlabel "state" offset 0,0.5
do for [i=0:n-1] {
  set title heads[i+1] offset 0,-0.8
  set lmargin at screen left + i*each + space; set rmargin at screen left + (i+1)*each - space
  if (i == 0) { set ylabel "norm of the residual stream" offset 0.5,0 } else { unset ylabel; set format y "" }
  plot data index i using 1:5 with lines lc rgb red dt (2,2.5) lw 1.6, \
       data index i using 1:4 with lines lc rgb blue dt 1 lw 1.0, \
       data index i using 1:3 with linespoints lc rgb black dt 1 lw 1.6 pt 7 ps 0.5 pi marked
}
unset multiplot
