package browser

import (
	"flag"
	"path/filepath"
	"testing"
	"time"
)

var pictures = flag.String("pictures", "", "write screenshots to this folder")

// history is how long conversations go on before the screenshots.
const history = 60 * time.Second

// TestPictures writes the screenshots of the README: a server has just died, on a light, a dark and a small screen. It comes first, in the first
// file with tests: its conversations go on while the tests run that are not parallel, and there is little left to wait for.
func TestPictures(t *testing.T) {
	if *pictures == "" {
		t.Skip("-pictures names no folder for screenshots")
	}
	f := startFleet(t, 4, usual, "models: { prefill_rate: { tiny: 50000 } }\n")
	f.talk(44, 900*time.Millisecond)
	began := time.Now()
	t.Parallel()
	light, black, small := openFleet(t, f, look{width: 1280, height: 900, scheme: "light", scale: 1.25}), openFleet(t, f, look{width: 1280, height: 900, scheme: "dark", scale: 1.25}), openFleet(t, f, phone)
	time.Sleep(time.Until(began.Add(history)))
	f.servers[2].Kill()
	for _, b := range []*tab{light, black, small} {
		b.await("conversations have arrived", card("vllm-2")+`.classList.contains("down") && document.querySelectorAll(".card ~ .spots circle.moved").length >= 3`, patience)
	}
	light.picture(filepath.Join(*pictures, "page-light.png"), "#upstreams")
	black.picture(filepath.Join(*pictures, "page-dark.png"), "#upstreams")
	small.picture(filepath.Join(*pictures, "page-phone.png"), ".flow")
}
