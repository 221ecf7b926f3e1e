// SPDX-License-Identifier: Apache-2.0

package pdq

// cosines[m] is float32(sqrt(2/64) * cos(pi*m/128)), the square root rounded to
// float32 first. The values are written out because libraries and processors
// differ in the last bit of a cosine.
var cosines = [65]float32{
	0.17677669, 0.17672345, 0.176563755, 0.176297709, 0.175925463, 0.175447255, 0.174863353, 0.17417413,
	0.173379973, 0.172481388, 0.171478912, 0.170373142, 0.169164747, 0.167854458, 0.16644305, 0.164931387,
	0.163320363, 0.161610976, 0.15980424, 0.157901242, 0.155903131, 0.153811097, 0.151626423, 0.14935042,
	0.146984443, 0.144529939, 0.141988367, 0.139361277, 0.136650234, 0.133856878, 0.130982891, 0.128030002,
	0.125, 0.121894695, 0.118715972, 0.115465738, 0.112145945, 0.108758606, 0.105305754, 0.101789467,
	0.0982118696, 0.0945751071, 0.0908813849, 0.0871329084, 0.0833319575, 0.0794808045, 0.0755817741, 0.0716372207,
	0.0676495135, 0.0636210516, 0.0595542751, 0.0554516204, 0.0513155647, 0.0471486002, 0.0429532342, 0.0387319922,
	0.0344874226, 0.0302220769, 0.0259385277, 0.0216393545, 0.0173271466, 0.0130045004, 0.00867402088, 0.00433831709,
	0,
}

// basis is the cosine matrix: rows are the frequencies 1 to 16.
var basis = func() (d [16][side]float32) {
	for i := range d {
		for j := range d[i] {
			d[i][j] = basisAt((i + 1) * (2*j + 1))
		}
	}
	return d
}()

// basisAt folds the angle m*pi/128 into the first quarter.
func basisAt(m int) float32 {
	m %= 256
	if m > 128 {
		m = 256 - m
	}
	if m > 64 {
		return -cosines[128-m]
	}
	return cosines[m]
}

// basisTurned is basis with rows and columns exchanged.
var basisTurned = func() (d [side][16]float32) {
	for i := range basis {
		for j, c := range basis[i] {
			d[j][i] = c
		}
	}
	return d
}()
