package warm

import "time"

// gaps counts the pauses between the turns of conversations, by length. Old pauses fade.
type gaps struct {
	counts [gapSteps]int32
	total  int32
	lasts  time.Duration // result of the last measure, 0 before
}

const (
	// gapSteps is the number of lengths: each is a quarter longer than the one before, from a second to 12 minutes.
	gapSteps = 30
	// knownGaps is how many pauses say something about most of them.
	knownGaps = 40
	// measureEvery is how many pauses are counted between two measures.
	measureEvery = 16
	// maxGaps is how many pauses are counted before all counts are halved.
	maxGaps = 2_000
)

// Bounds of the time for which a conversation is warm after a turn.
const (
	leastLasting    = 30 * time.Second
	greatestLasting = 10 * time.Minute
)

// gapBounds are the greatest lengths of the steps.
var gapBounds = func() (bounds [gapSteps]time.Duration) {
	for i := range bounds {
		bounds[i] = time.Second
		if i > 0 {
			bounds[i] = bounds[i-1] * 5 / 4
		}
	}
	return bounds
}()

// add counts a pause. Pauses longer than any warm conversation makes count as the longest step; turns that overlap have none.
func (g *gaps) add(gap time.Duration) {
	if gap < 0 {
		return
	}
	at := 0
	for at < gapSteps-1 && gap > gapBounds[at] {
		at++
	}
	g.counts[at]++
	if g.total++; g.total >= maxGaps {
		g.total = 0
		for i := range g.counts {
			g.counts[i] /= 2
			g.total += g.counts[i]
		}
	}
	if g.total >= knownGaps && (g.lasts == 0 || g.total%measureEvery == 0) {
		g.lasts = g.measure()
	}
}

// lasting is how long after a turn the next one is to be expected: twice the 95th percentile of the pauses, 30 s to 10 min. It is 10 min
// while there are too few pauses.
func (g *gaps) lasting() time.Duration {
	if g.lasts == 0 {
		return greatestLasting
	}
	return g.lasts
}

func (g *gaps) measure() time.Duration {
	rest := g.total - g.total/20
	for i, n := range g.counts {
		if rest -= n; rest <= 0 {
			return min(max(2*gapBounds[i], leastLasting), greatestLasting)
		}
	}
	return greatestLasting
}
