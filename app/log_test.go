package app

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"tether/config"
)

func TestNewLogger(t *testing.T) {
	for format, wants := range map[string][]string{
		"json":    {`"level":"warn"`, `"time":"20`, `"msg":"heard"`, `"after":"1.5s"`},
		"console": {"\twarn\theard\t", `{"after": "1.5s"}`},
	} {
		var out strings.Builder
		log, err := NewLogger(config.Log{Level: "warn", Format: format}, &out)
		if err != nil {
			t.Fatal(err)
		}
		log.Info("unheard")
		log.Warn("heard", zap.Duration("after", 1500*time.Millisecond))
		for _, want := range wants {
			if !strings.Contains(out.String(), want) || strings.Contains(out.String(), "unheard") {
				t.Errorf("%s: no %s in %s", format, want, out.String())
			}
		}
	}
	if _, err := NewLogger(config.Log{Level: "loud"}, nil); err == nil {
		t.Error("no error for an unknown level")
	}
}
