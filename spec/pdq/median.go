// SPDX-License-Identifier: Apache-2.0

package pdq

// threshold sets the bits of the coefficients above the median, which is the
// 128th smallest of the 256: of the two in the middle the lower one.
func threshold(coefs *[16][16]float32) Hash {
	var all [256]float32
	for i := range coefs {
		copy(all[16*i:], coefs[i][:])
	}
	median := nth(all[:], 127)
	var h Hash
	for i := range coefs {
		for j, c := range coefs[i] {
			if c > median {
				h.set(16*i + j)
			}
		}
	}
	return h
}

// nth returns the value that sorting would put at place k, and reorders v
// (C. A. R. Hoare, "Find", 1961).
func nth(v []float32, k int) float32 {
	lo, hi := 0, len(v)-1
	for lo < hi {
		pivot, i, j := v[(lo+hi)/2], lo, hi
		for i <= j {
			for v[i] < pivot {
				i++
			}
			for v[j] > pivot {
				j--
			}
			if i <= j {
				v[i], v[j] = v[j], v[i]
				i++
				j--
			}
		}
		if k <= j {
			hi = j
		} else if k >= i {
			lo = i
		} else {
			break
		}
	}
	return v[k]
}
