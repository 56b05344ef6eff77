package main

import (
	"strings"
	"testing"
)

// root is this repository.
const root = "../.."

func TestTheTreeIsWithinItsLimits(t *testing.T) {
	var out, errors strings.Builder
	if code := run(root, &out, &errors); code != 0 {
		t.Errorf("%s\n%s", &errors, &out)
	}
}
