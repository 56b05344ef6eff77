package app

import (
	"bytes"
	"encoding/json"
	"io"
	stdlog "log"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"tether/config"
	"tether/logs"
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

// The level and the format change for loggers that exist already, and for the lines about losses.
func TestUseOfALog(t *testing.T) {
	var errOut bytes.Buffer
	stderr := logs.Start(&errOut, 0)
	l, err := OpenLogs(config.Log{Level: "error", Format: "json"}, io.Discard, stderr)
	if err != nil {
		t.Fatal(err)
	}
	named := l.App.Named("part")
	named.Warn("hidden")
	if err := l.Use(config.Log{Level: "loud"}); err == nil {
		t.Error("no error")
	}
	if err := l.Use(config.Log{Level: "warn", Format: "console"}); err != nil {
		t.Fatal(err)
	}
	named.Warn("shown")
	_, _ = l.Access.Write(bytes.Repeat([]byte("x"), 1<<20))
	l.Close(patience)
	stderr.Close(patience)
	lines := strings.Split(strings.TrimSpace(errOut.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "\twarn\tpart\tshown") || !strings.Contains(lines[1], "log lines dropped\t{") {
		t.Errorf("%q", lines)
	}
}

// Go's package log writes to tether's own log. A loss in either log is a line of tether's own log.
func TestOpenLogs(t *testing.T) {
	var out, errOut bytes.Buffer
	stderr := logs.Start(&errOut, 0)
	l, err := OpenLogs(config.Log{Level: "info", Format: "json"}, &out, stderr)
	if err != nil {
		t.Fatal(err)
	}
	stdlog.Print("of a library")
	tooLong := bytes.Repeat([]byte("x"), 1<<20)
	_, _ = l.Access.Write(tooLong)
	l.Close(patience)
	_, _ = stderr.Write(tooLong)
	stderr.Close(patience)
	type line struct {
		Level, Msg, Log string
		Lines           int
	}
	want := []line{{"warn", "of a library", "", 0}, {"warn", "log lines dropped", "access", 1}, {"warn", "log lines dropped", "app", 1}}
	for _, want := range want {
		text, err := errOut.ReadBytes('\n')
		var got line
		if err != nil || json.Unmarshal(text, &got) != nil || got != want {
			t.Errorf("%s, %v; want %+v", text, err, want)
		}
	}
	if out.Len()+errOut.Len() > 0 {
		t.Errorf("%q and %q are left", &out, &errOut)
	}
	dropped := l.Dropped()
	if access, app := dropped["access"](), dropped["app"](); access != 1 || app != 1 {
		t.Errorf("%d and %d lines dropped, want 1 of each log", access, app)
	}
}
