# gap: sigma_1 / sigma_2 of F, the linearised FFN, per layer and checkpoint.
# Bright: one direction is amplified far more than any other. Cells above 3 are framed.
stats data using 1 nooutput; columns = STATS_max + 1
stats data using 2 nooutput; layers = STATS_max
stats data using 3 nooutput; top = STATS_max > 3.3 ? STATS_max : 3.3
wide = columns < 4 ? 3.4 : 5.4
tall = 2.75 + (layers > 12)*1.0 + (layers > 40)*1.0
eval open_page(wide, tall)
set lmargin at screen 0.5/wide; set rmargin at screen 1 - 0.7/wide
set tmargin at screen 1 - 0.26/tall; set bmargin at screen (columns > 8 ? 0.66 : 0.45)/tall
set border 15 lw 0.6
unset grid; unset key
set xrange [-0.5:columns-0.5]; set yrange [0.5:layers+0.5]
set xtics scale 0; set ytics scale 0 (1)
every_layer = layers <= 16 ? 1 : layers <= 40 ? 4 : 10
set for [l=every_layer:layers:every_layer] ytics add (sprintf("%d", l) l)
if (columns > 8) { set xtics rotate by 45 right offset 0.3,0.1 }
set xlabel "training step" offset 0,(columns > 8 ? 0.2 : 0.4); set ylabel "layer" offset 0,0
set logscale cb; set cbrange [1:top]
set format cb "%g"; set cbtics ("1" 1, "1.5" 1.5, "2" 2, "3" 3, "5" 5, "10" 10, "20" 20, "50" 50, "100" 100) scale 0.4
set title "σ₁ / σ₂ of F" offset 0,-0.8
set object 1 rectangle from graph 0,0 to graph 1,1 behind fc rgb "#e4e4e4" fs solid noborder
shown(gap, column) = gap > 3 ? column : -1e9 # a frame that is not wanted lies outside
set style fill solid 1.0 noborder
plot data using 1:2:($1-0.5):($1+0.5):($2-0.5):($2+0.5):3:xticlabels(5) with boxxyerror lc palette z, \
     data using (shown($3, $1)):2:(shown($3, $1)-0.47):(shown($3, $1)+0.47):($2-0.46):($2+0.46) with boxxyerror fs empty border rgb "black" lc rgb black dt 1 lw (columns > 16 || layers > 16 ? 0.4 : 1.4), \
     data using 1:2:4:(ink(log($3 > 1 ? $3 : 1)/log(top))) with labels font ",6.5" tc rgb variable
