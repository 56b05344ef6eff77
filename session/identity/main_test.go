package identity

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// allocations returns how many allocations a step makes on average. make test runs these tests without the race detector as well.
func allocations(t *testing.T, runs int, step func()) float64 {
	t.Helper()
	if poolsForget {
		step()
		return 0
	}
	return testing.AllocsPerRun(runs, step)
}
