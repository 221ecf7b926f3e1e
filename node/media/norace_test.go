// SPDX-License-Identifier: Apache-2.0

//go:build !race

package media_test

const raceDetector = false
