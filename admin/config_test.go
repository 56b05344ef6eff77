package admin

import "testing"

func TestValidate(t *testing.T) {
	for listen, want := range map[string]string{
		Default().Listen: "", ":8081": "", "[::1]:0": "",
		"8081": `listen: "8081", want HOST:PORT`,
		"":     `listen: "", want HOST:PORT`,
	} {
		got := ""
		c := Config{Listen: listen}
		c.Validate(func(key, problem string) { got += key + ": " + problem })
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
