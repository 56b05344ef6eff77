// Package browser drives the status page of the binary in a real Chromium.
package browser

import (
	"os"
	"testing"

	"tether/e2e/binary"
)

func TestMain(m *testing.M) { os.Exit(binary.Main(m)) }
