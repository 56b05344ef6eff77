package main

import (
	"context"
	"testing"
)

func TestMeasureMap(t *testing.T) {
	f, err := measureMap(context.Background(), 100_000)
	if err != nil {
		t.Fatal(err)
	}
	if f[sessions] != 100_000 || f[perPin] < 20 || f[perPin] > 200 || f[lookup] <= 0 || f[lookupCPU] <= 0 || f[collection] <= 0 {
		t.Errorf("got %v", f)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := measureMap(ctx, 100_000); err == nil {
		t.Error("the end of the context is no error")
	}
}
