package main

import (
	"slices"
	"testing"
)

// A prompt has the blocks that it keeps from the prompt before, and new ones.
func TestExtend(t *testing.T) {
	var named block
	fresh := func() block { named++; return named }
	talk := talk{}
	for _, c := range []struct {
		turn turn
		want []block
	}{
		{turn{prompt: 2*blockTokens + 1}, []block{1, 2, 3}},
		{turn{prompt: 4 * blockTokens, kept: 2*blockTokens + 1}, []block{1, 2, 3, 4}},
		{turn{prompt: 3 * blockTokens, kept: blockTokens}, []block{1, 5, 6}},
		{turn{prompt: 1}, []block{7}},
	} {
		if talk.blocks = talk.extend(&c.turn, fresh); !slices.Equal(talk.blocks, c.want) {
			t.Errorf("%+v has blocks %v, want %v", c.turn, talk.blocks, c.want)
		}
	}
}
