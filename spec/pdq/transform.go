// SPDX-License-Identifier: Apache-2.0

package pdq

import "image"

// minSide is the least side of an image that has a hash; below it the hash is
// zero and so is the quality.
const minSide = 5

// A Transform is what the hash of one image is cut from. One Transform gives
// the hash, its quality and the hashes of the seven mirrored and turned copies.
// The zero Transform is that of an image too small to hash.
type Transform struct {
	coefs   [16][16]float32
	quality int
}

// Quality says from 0 to 100 how much structure the image has; below
// MinQuality its hash matches things by accident.
func (t *Transform) Quality() int { return t.quality }

// Hash returns the hash of the image as it is.
func (t *Transform) Hash() Hash { return threshold(&t.coefs) }

// FromLuma hashes a luminance raster of w by h values from 0 to 255, row by row,
// at its own size. It fails with MALFORMED when luma is not w*h long.
func FromLuma(luma []float32, w, h int) (Hash, int, error) {
	t, err := TransformLuma(luma, w, h)
	return t.Hash(), t.quality, err
}

// FromRGB hashes a raster of w by h pixels of three bytes at its own size, as a
// video frame is hashed. It fails with MALFORMED when pix is not 3*w*h long.
func FromRGB(pix []byte, w, h int) (Hash, int, error) {
	t, err := TransformRGB(pix, w, h)
	return t.Hash(), t.quality, err
}

// FromImage hashes an image, downscaled to 512 by 512 when a side is longer.
// It fails with MALFORMED on an empty image.
func FromImage(img image.Image) (Hash, int, error) {
	t, err := TransformImage(img)
	return t.Hash(), t.quality, err
}

// TransformLuma is FromLuma for callers that also want the turned copies.
func TransformLuma(luma []float32, w, h int) (Transform, error) {
	if err := checkRaster(len(luma), 1, w, h); err != nil {
		return Transform{}, err
	}
	return best.transform(lumaRows{luma, w}, w, h), nil
}

// TransformRGB is FromRGB for callers that also want the turned copies.
func TransformRGB(pix []byte, w, h int) (Transform, error) {
	return best.TransformRGB(pix, w, h)
}

// TransformImage is FromImage for callers that also want the turned copies.
func TransformImage(img image.Image) (Transform, error) {
	return best.TransformImage(img)
}
