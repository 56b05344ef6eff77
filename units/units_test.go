package units

import "testing"

func TestBytes(t *testing.T) {
	for text, want := range map[string]Bytes{"0B": 0, "512B": 512, "16KiB": 16 * KiB, "64 MiB": 64 * MiB, "2GiB": 2 * GiB, "1048576GiB": 1 << 50} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%q is %d, %v, want %d", text, b, err, want)
		}
		var again Bytes
		if err := again.UnmarshalText([]byte(b.String())); err != nil || again != b {
			t.Errorf("%q comes back from %q as %d, %v", text, b, again, err)
		}
	}
	for _, text := range []string{"", "64", "64MB", "-1B", "1.5GiB", "GiB", "1048577GiB", "9999999999999999999B", "16kib"} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q passes as %d", text, b)
		}
	}
}

func TestShare(t *testing.T) {
	for text, want := range map[string]int64{"25%": 25_600, "100%": 102_400, "1%": 1024, "512B": 512, "2KiB": 2048} {
		var s Share
		if err := s.UnmarshalText([]byte(text)); err != nil || s.Of(102_400) != want {
			t.Errorf("%q of 102400 is %d, %v, want %d", text, s.Of(102_400), err, want)
		}
		if s.String() != text {
			t.Errorf("%q comes back as %q", text, s)
		}
	}
	for _, text := range []string{"", "0%", "101%", "-5%", "x%", "2.5%", "12"} {
		var s Share
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q passes as %v", text, s)
		}
	}
}
