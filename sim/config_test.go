package sim

import (
	"testing"
	"time"
)

func TestConfigValidate(t *testing.T) {
	err := Config{BlockSize: -1, MaxModelLen: 1, PrefillPerToken: -time.Second}.Validate()
	want := "MaxModelLen: 1, want 2 or more\nBlockSize: -1, want 1 or more\nPrefillPerToken: -1s, want 0s or more"
	if err == nil || err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
}
