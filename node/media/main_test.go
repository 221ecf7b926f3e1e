// SPDX-License-Identifier: Apache-2.0

package media_test

import (
	"os"
	"testing"

	"github.com/tocsin-db/tocsin/node/media"
)

func TestMain(m *testing.M) {
	media.RunChild()
	os.Exit(m.Run())
}
