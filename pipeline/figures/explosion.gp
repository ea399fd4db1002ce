# explosion: the norm of the exact FFN, behind its norm, at each right singular vector v of its
# linearisation F (1 has the largest singular value) and at its opposite, one panel per explosion
# layer. Filled: at v; open: at -v; line: what F answers, sigma sqrt(d), the same for both. An
# explosion subspace of one dimension is one point far above all others, at one sign or at both.
stats data using 0 nooutput
n = STATS_blocks
stats data index 0 using 1 nooutput; vectors = STATS_max
low = 1e300; high = 0
do for [c=3:5] { stats data using (v = column(c), low = v > 0 && v < low ? v : low, high = v > high ? v : high, 0) nooutput }
array heads[n]
do for [i=1:n] { stats data index i-1 every ::0::0 using (heads[i] = strcol(2), 0) nooutput }
wide = n < 2 ? 3.4 : 0.75 + n*1.9
eval open_page(wide, 2.4)
set multiplot
eval legend_page
set key at screen 0.52, 1 - 0.04/2.4 center top horizontal maxrows 1 samplen 2 width -2
plot NaN with points lc rgb black pt 7 ps 0.5 title "at v", \
     NaN with points lc rgb red pt 6 ps 0.5 title "at −v", \
     NaN with lines lc rgb blue dt 1 lw 1.0 title "linear"
eval panel_page
set logscale xy
low = low < high*1e-5 ? high*1e-5 : low # what F takes to nothing would take the page
set yrange [low/1.5:high*1.5]
set xrange [0.8:1.25*vectors]
set format "%g"
left = 0.65/wide; each = (1 - left - 0.04/wide)/n; space = 0.05*each
set tmargin at screen 1 - 0.42/2.4; set bmargin at screen 0.43/2.4
set xlabel "singular vector" offset 0,0.5
do for [i=0:n-1] {
  set title heads[i+1] offset 0,-0.8
  set lmargin at screen left + i*each + space; set rmargin at screen left + (i+1)*each - space
  if (i == 0) { set ylabel "norm of the FFN" offset 0.5,0 } else { unset ylabel; set format y "" }
  plot data index i using 1:5 with lines lc rgb blue dt 1 lw 1.0, \
       data index i using 1:4 with points lc rgb red pt 6 ps 0.35 lw 0.6, \
       data index i using 1:3 with points lc rgb black pt 7 ps 0.3
}
unset multiplot
