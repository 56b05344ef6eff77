package balance

import (
	"testing"
	"time"
)

func TestMove(t *testing.T) {
	for text, want := range map[string]Move{"6s": defaultMove, "0s": 0, "1m30s": Move(90 * time.Second), "off": Never} {
		var m Move
		if err := m.UnmarshalText([]byte(text)); err != nil || m != want {
			t.Errorf("%s: %v, %v", text, m, err)
		}
		if got, err := m.MarshalText(); err != nil || string(got) != text {
			t.Errorf("%s is written as %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "6", "-1s", "never", "Off", "99999999999h"} {
		m := defaultMove
		want := `"` + text + `", want a time such as 6s, or off`
		if err := m.UnmarshalText([]byte(text)); err == nil || err.Error() != want || m != defaultMove {
			t.Errorf("%q: %v, %v", text, m, err)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		Config
		want string
	}{
		{Default(), ""},
		{Config{Home, Never}, ""},
		{Config{Load, Move(time.Hour)}, ""},
		{Config{Auto, Move(time.Hour + 1)}, "move_when_busier_by: 1h0m0.000000001s, want 0s..1h or off"},
		{Config{"ring", 0}, `placement: "ring", want auto, home or load`},
	} {
		got := ""
		c.Validate(func(key, problem string) { got = key + ": " + problem })
		if got != c.want {
			t.Errorf("%+v: %s, want %s", c.Config, got, c.want)
		}
	}
}
