# prediction: the angle between the direction that a layer's weights predict, u, the leading left
# singular vector of its linear approximation, and the measured one of the dominant phase.
# Left: per layer and checkpoint; dark is a good prediction, grey is no phase. Right: along the
# layers at the last checkpoint; upward and downward bands are the explosion and decay layers. The
# axis of the largest row of the down projection is the guess that u has to beat; without the
# direction's largest channel shows what u knows of the rest.
stats data index 0 using 1 nooutput; columns = STATS_max + 1
stats data index 0 using 2 nooutput; layers = STATS_max
stats data index 1 every ::0::0 using (head = strcol(2), 0) nooutput
tall = 3.0 + (layers > 12)*0.8 + (layers > 40)*0.8
wide = columns < 4 ? 5.2 : 7.0
map_left = 0.45/wide; map_right = columns < 4 ? 2.2/wide : 3.95/wide
bar_right = map_right + 0.1/wide
eval open_page(wide, tall)
set multiplot
eval legend_page
set key at screen 0.5, 1 - 0.03/tall center top horizontal maxcols 3 samplen 3 width 0
set style fill solid 1.0 noborder
plot NaN with linespoints lc rgb black dt 1 pt 7 ps 0.5 lw 1.6 title "u of L", \
     NaN with linespoints lc rgb blue dt (8,3) pt 4 ps 0.5 lw 1.4 title "axis guess", \
     NaN with linespoints lc rgb red dt (3,2) pt 9 ps 0.6 lw 1.4 title "u, top channel out", \
     NaN with filledcurves fs solid 1.0 noborder lc rgb "#dcdcdc" title "explosion ↑", \
     NaN with filledcurves fs pattern 4 noborder lc rgb "#999999" title "decay ↓"
eval panel_page
every_layer = layers <= 16 ? 1 : layers <= 40 ? 4 : 10

# ---- left: the map ----
set lmargin at screen map_left; set rmargin at screen map_right
set tmargin at screen 1 - 0.58/tall; set bmargin at screen 0.62/tall
set border 15 lw 0.6
unset grid
set xrange [-0.5:columns-0.5]; set yrange [0.5:layers+0.5]
set xtics scale 0; set ytics scale 0 (1)
set for [l=every_layer:layers:every_layer] ytics add (sprintf("%d", l) l)
if (columns > 6) { set xtics rotate by 45 right offset 0.3,0.1 }
set xlabel "training step" offset 0,(columns > 6 ? 0.3 : 0.4); set ylabel "layer" offset 0,0
set cbrange [0:90]; set cbtics 0,30 scale 0.4
set colorbox user origin screen map_right + 0.08/wide, screen 0.62/tall size screen 0.1/wide, screen 1 - 1.20/tall
set title "angle of u to the direction (degrees)" offset 0,-0.8
set object 1 rectangle from graph 0,0 to graph 1,1 behind fc rgb "#e4e4e4" fs solid noborder
set style fill solid 1.0 noborder
plot data index 0 using 1:2:($1-0.5):($1+0.5):($2-0.5):($2+0.5):3:xticlabels(5) with boxxyerror lc palette z, \
     data index 0 using 1:2:4:(ink($3/90)) with labels font ",6" tc rgb variable
unset object 1

# ---- right: the profile ----
set lmargin at screen map_right + 1.05/wide; set rmargin at screen 1 - 0.06/wide
set bmargin at screen 0.45/tall
eval panel_page
set xtics norotate offset 0,0; unset xtics
set xtics nomirror ("1" 1)
set for [l=every_layer:layers:every_layer] xtics add (sprintf("%d", l) l)
set xrange [0.5:layers+0.5]; set yrange [0:95]; set ytics 0,15 norotate; set format y "%g"
set xlabel "layer" offset 0,0.5; set ylabel "angle to the direction (degrees)" offset 0.3,0
set title head offset 0,-0.8
plot data index 1 using 1:($6 > 0 ? 47 : NaN):($1-0.5):($1+0.5):(0):(95) with boxxyerror fs solid 1.0 noborder lc rgb "#dcdcdc", \
     data index 1 using 1:($7 > 0 ? 47 : NaN):($1-0.5):($1+0.5):(0):(95) with boxxyerror fs pattern 4 noborder lc rgb "#999999", \
     data index 1 using 1:($6 > 0 ? 91.5 : NaN):("↑") with labels, \
     data index 1 using 1:($7 > 0 ? 91.5 : NaN):("↓") with labels, \
     data index 1 using 1:4 with linespoints pi sparse(layers) lc rgb blue dt (8,3) pt 4 ps 0.5 lw 1.4, \
     data index 1 using 1:5 with linespoints pi sparse(layers) lc rgb red dt (3,2) pt 9 ps 0.6 lw 1.4, \
     data index 1 using 1:3 with linespoints pi sparse(layers) lc rgb black dt 1 pt 7 ps 0.5 lw 1.6
unset multiplot
