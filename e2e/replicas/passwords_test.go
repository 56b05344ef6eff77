package replicas

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tether/e2e/binary"
	"tether/session/store/storetest"
)

// No password of a store shows in logs, in what operators see, or in what tether check prints, while the store does not accept it.
func TestPasswordsDoNotShow(t *testing.T) {
	const word = "hunter2-word"
	program := storetest.Programs(t)[0]
	server := storetest.Start(t, program, "--requirepass", "other")
	master := storetest.Start(t, program)
	sentinel := storetest.Sentinel(t, master, "requirepass other")
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte(word+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("the secret of all replicas"), 0o600); err != nil {
		t.Fatal(err)
	}
	upstream := answering(t)
	for what, store := range map[string]string{
		"in the URL":       `{ url: "redis://:` + word + `@` + server.Addr + `" }`,
		"in a file":        `{ url: "redis://` + server.Addr + `", password_file: ` + password + ` }`,
		"of the sentinels": `{ url: "redis-sentinel://` + sentinel.Addr + `/mymaster", sentinel_password_file: ` + password + ` }`,
	} {
		t.Run(what, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "tether.yaml")
			text := "upstreams: [{ url: '" + upstream + "' }]\nsession: { secret_file: " + secret + ", store: " + store + " }\n"
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			checked, err := exec.CommandContext(ctx, binary.Path(), "check", "-c", file).CombinedOutput()
			if err != nil || !strings.Contains(string(checked), "store:") {
				t.Fatalf("%v %s", err, checked)
			}
			p := binary.Run(t, nil, "-c", file)
			f := &fleet{t: t, client: http.Client{Timeout: patience}}
			shown := ""
			for deadline := time.Now().Add(patience); !strings.Contains(shown, "does not accept the user or the password"); time.Sleep(20 * time.Millisecond) {
				if shown = string(f.ask(p, "GET", "/api/replicas")); time.Now().After(deadline) {
					t.Fatal(shown)
				}
			}
			shown += string(f.ask(p, "GET", "/metrics")) + string(f.ask(p, "GET", "/api/status"))
			p.End(t, syscall.SIGTERM, patience)
			if log := p.Log(); !strings.Contains(log, "does not accept the user or the password") {
				t.Errorf("the log does not tell: %s", log)
			}
			if all := string(checked) + shown + p.Log(); strings.Contains(all, word) {
				t.Errorf("the password shows in %s", all)
			}
		})
	}
}
