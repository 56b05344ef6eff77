package ring

import (
	"fmt"
	"testing"
)

// The frozen vectors are a promise across releases: a release that places these keys elsewhere makes the caches of every
// fleet useless. A change of the vectors needs a new Version.
func TestFrozenVectors(t *testing.T) {
	weighted := pods(8)
	for i := range weighted {
		weighted[i].Weight = 10 * (i + 1)
	}
	gaps := pods(6)
	for i := range gaps {
		gaps[i].Number = i * i
	}
	for _, v := range []struct {
		name   string
		slots  []Slot
		dead   []int
		digest string
		homes  string // of the keys key(0), key(1), ...
	}{
		{
			name: "16 of 16", slots: pods(16),
			digest: "5f2b9555a968e474",
			homes:  "9 15 6 2 0 12 6 3 14 4 9 13 11 15 7 11 0 7 5 12 3 10 15 6 ",
		},
		{
			name: "15 of 16", slots: pods(16), dead: []int{5},
			digest: "5f2b9555a968e474",
			homes:  "9 15 6 2 0 12 6 3 14 4 9 13 11 15 7 11 0 7 15 12 3 10 15 6 ",
		},
		{
			name: "1 of 16", slots: pods(16), dead: []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15},
			digest: "5f2b9555a968e474",
			homes:  "11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 ",
		},
		{
			name: "weights 10..80", slots: weighted,
			digest: "bba8d1e5ef42f7e7",
			homes:  "0 1 6 0 7 5 6 5 7 5 1 4 7 7 2 2 7 7 5 7 3 4 6 4 ",
		},
		{
			name: "gaps", slots: gaps,
			digest: "cb4e4c26eab1e77e",
			homes:  "0 1 0 5 0 0 2 4 4 2 3 3 2 3 3 1 0 3 1 4 1 5 0 4 ",
		},
		{
			name: "unnumbered", slots: unnumbered(pods(16)),
			digest: "2e4389d5737d6066",
			homes:  "9 5 1 11 11 3 13 15 8 5 14 10 13 1 7 15 7 14 15 9 2 9 14 7 ",
		},
		{
			name: "unnumbered weights", slots: unnumbered(weighted),
			digest: "7a71150cd623572d",
			homes:  "5 5 1 4 6 3 7 4 5 5 2 6 3 1 7 7 7 4 6 5 7 4 3 7 ",
		},
		{
			name: "512", slots: pods(512),
			digest: "d9c58ace69c575c3",
			homes:  "120 72 46 222 414 407 221 354 230 384 202 297 65 323 438 66 501 214 17 448 330 131 492 430 ",
		},
	} {
		r := mustNew(t, v.slots)
		homes := ""
		for k := range 24 {
			homes += fmt.Sprint(r.first(key(k), without(v.dead...)), " ")
		}
		digest := fmt.Sprintf("%016x", r.Digest())
		if digest != v.digest || homes != v.homes {
			t.Errorf("%s: got digest: %q, homes: %q", v.name, digest, homes)
		}
	}
}
