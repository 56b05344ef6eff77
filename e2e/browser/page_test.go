package browser

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"tether/e2e/binary"
	"tether/wire/wiretest"
)

// Expressions about the page.
const (
	rows    = `document.querySelectorAll("table.upstreams tbody tr").length`
	isLive  = `document.querySelector("#link").dataset.state === "live"`
	dots    = `document.querySelectorAll(".spots circle").length`
	dialog  = `document.querySelector("#ask").open`
	outcome = `document.querySelector("#ask-outcome").textContent`
)

// row is an expression for the row of an upstream, and card one for its card in the picture.
func row(i int) string {
	return fmt.Sprintf(`document.querySelectorAll("table.upstreams tbody tr")[%d]`, i)
}

func card(name string) string {
	return fmt.Sprintf(`[...document.querySelectorAll(".card")].find((c) => c.querySelector(".name").textContent === %s)`, quoted(name))
}

// openFleet opens the page of a fleet with conversations, and waits until it shows all of it.
func openFleet(t *testing.T, f *fleet, l look) *tab {
	t.Helper()
	b := open(t, f.page, l)
	b.await("the page is live", isLive, patience)
	b.await("all upstreams are listed", fmt.Sprintf("%s === %d", rows, len(f.servers)), patience)
	return b
}

// The page shows the upstreams. Within two seconds of the death of one, it shows that the upstream is down and that its conversations move;
// others do not.
func TestDeath(t *testing.T) {
	f := startFleet(t, 4, usual, "")
	f.talk(24, 150*time.Millisecond)
	b := openFleet(t, f, desktop)
	b.await("every conversation is shown", dots+" === 24", patience)
	b.await("figures of a minute are shown", `[...document.querySelectorAll("#tiles dt")].some((e) => e.textContent === "Prompt from cache")`, patience)
	killed := eval[int](b, `[...document.querySelectorAll("table.upstreams tbody tr")].map((r) => Number(r.cells[2].querySelector(".value").textContent)).reduce((best, n, i, all) => (n > all[best] ? i : best), 0)`)
	name := fmt.Sprintf("vllm-%d", killed)

	f.servers[killed].Kill()
	began := time.Now()
	b.await("the row says down", row(killed)+`.dataset.state === "down"`, 2*time.Second)
	b.await("the picture says down", card(name)+`.classList.contains("down")`, 2*time.Second-time.Since(began))
	b.await("conversations fly", `document.querySelector("circle.moved") !== null && `+card(name)+`.querySelector(".told").textContent.includes("moved away")`, 2*time.Second-time.Since(began))
	t.Logf("down and moving after %v", time.Since(began).Round(time.Millisecond))
	b.await("an event tells of the moves", `[...document.querySelectorAll("#events li[data-kind=moves]")].some((e) => e.textContent.includes("conversations moved away (down)"))`, patience)
	b.await("a screen reader hears of it", `document.querySelector("#spoken").textContent.includes("down")`, patience)
	for i := range f.servers {
		if i != killed && strings.Contains(eval[string](b, card(fmt.Sprintf("vllm-%d", i))+`.querySelector(".told").textContent`), "away") {
			t.Errorf("conversations of vllm-%d moved, which was not killed", i)
		}
	}

	if err := f.servers[killed].Restart(); err != nil {
		t.Fatal(err)
	}
	b.await("the row says up", row(killed)+`.dataset.state === "up"`, 5*time.Second)
	b.wantNoProblems()
}

// An operator drains an upstream by its button, and ends the drain. Each asks once, Escape changes nothing, and the outcome is shown.
func TestDrainByButton(t *testing.T) {
	f := startFleet(t, 4, usual, "")
	f.talk(12, 150*time.Millisecond)
	b := openFleet(t, f, desktop)
	const button = "table.upstreams tbody tr:nth-child(2) button"
	b.press(button)
	b.await("the page asks", dialog, patience)
	run(b, chromedp.KeyEvent(kb.Escape))
	b.await("Escape ends the question", "!"+dialog, patience)
	if focus := eval[string](b, `document.activeElement.getAttribute("aria-label")`); focus != "Drain vllm-1" {
		t.Errorf("the focus is at %q after Escape", focus)
	}
	if state := f.state("vllm-1"); state != "up" {
		t.Errorf("vllm-1 is %s after Escape", state)
	}
	b.press(button)
	b.await("the page asks", dialog, patience)
	b.press(`#ask input[value="now"]`)
	b.press("#ask-yes")
	b.await("the outcome is shown", outcome+` === "vllm-1 drains."`, patience)
	if state := f.state("vllm-1"); state != "up, draining hard, drained" && state != "up, draining hard" {
		t.Errorf("vllm-1 is %s", state)
	}
	b.await("the row drains", row(1)+`.dataset.state === "draining" && `+card("vllm-1")+`.classList.contains("draining")`, 2*time.Second)
	b.await("its conversations move", card("vllm-1")+`.querySelector(".told").textContent.includes("moved away")`, 5*time.Second)
	b.press("#ask-no")
	b.press(button)
	b.press("#ask-yes")
	b.await("the drain ended", outcome+`.includes("gets new conversations again")`, patience)
	b.await("the row is up", row(1)+`.dataset.state === "up"`, 2*time.Second)
	b.wantNoProblems()
}

// state asks the API for the state of an upstream.
func (f *fleet) state(name string) string {
	f.t.Helper()
	var all struct {
		Upstreams []struct{ Name, State string }
	}
	f.get("/api/upstreams", &all)
	for _, u := range all.Upstreams {
		if u.Name == name {
			return u.State
		}
	}
	return ""
}

// A conversation is found by its id, with its pin and its last turns; it moves and is forgotten by buttons.
func TestFindAndMove(t *testing.T) {
	f := startFleet(t, 3, usual, "")
	f.talk(6, 100*time.Millisecond)
	b := openFleet(t, f, desktop)
	find := func() {
		b.fill("#session-id", sessionOf(3))
		b.press("#session button")
	}
	const facts = `[...document.querySelectorAll("#session-found .facts dt")].reduce((o, e) => ({ ...o, [e.textContent]: e.nextSibling.textContent }), {})`
	b.await("the conversation has turns", `document.querySelectorAll("#session-found .turns li").length >= 3 || (document.querySelector("#session-id").value = "conversation-3", document.querySelector("#session").requestSubmit(), false)`, patience)
	found := eval[map[string]string](b, facts)
	pin := found["Pin"]
	if !strings.HasPrefix(pin, "vllm-") || found["Home"] == "" || found["Model"] != "tiny" || found["Last seen"] == "" || len(found["Conversation"]) != 16 {
		t.Errorf("found %v", found)
	}
	if text := b.text("#session-found .turns"); !strings.Contains(text, "pinned") || !strings.Contains(text, "prompt tokens cached") {
		t.Errorf("the turns are %q", text)
	}
	target := eval[string](b, `document.querySelector("#session-found select").value`)
	if target == pin || !strings.HasPrefix(target, "vllm-") {
		t.Errorf("the conversation at %s can move to %q", pin, target)
	}
	b.press("#session-found .buttons button")
	b.await("the page asks", dialog, patience)
	b.press("#ask-yes")
	b.await("the outcome is shown", outcome+fmt.Sprintf(` === "Moved: %s → %s."`, pin, target), patience)
	b.press("#ask-no")
	b.await("the new pin is shown", fmt.Sprintf(`(%s).Pin === %q`, facts, target), patience)
	b.await("the move is an event of the picture", card(target)+`.querySelector(".told").textContent.includes("+1 moved in")`, 3*time.Second)

	eval[bool](b, `document.querySelector("#session-found button.danger").dataset.old = true`)
	find()
	b.await("the page has found it again", `document.querySelector("#session-found button.danger:not([data-old])") !== null`, patience)
	b.press("#session-found button.danger")
	b.await("the page asks", dialog, patience)
	b.press("#ask-yes")
	b.await("the outcome is shown", outcome+fmt.Sprintf(` === "Forgotten. It was at %s."`, target), patience)
	b.press("#ask-no")
	b.fill("#session-id", "never seen")
	b.press("#session button")
	b.await("a wrong id is an error", `document.querySelector("#session-found .bad")?.textContent.includes("visible ASCII")`, patience)
	b.fill("#session-id", "neverseen")
	b.press("#session button")
	b.await("an unknown id has a home", `document.querySelector("#session-found").textContent.includes("no pin: this is where its first request would go")`, patience)
	b.wantNoProblems("/api/where")
}

// A pasted request is explained: where its id is, and where it goes.
func TestExplain(t *testing.T) {
	f := startFleet(t, 3, usual, "")
	b := openFleet(t, f, desktop)
	b.fill("#request-text", "POST /v1/chat/completions HTTP/1.1\nContent-Type: application/json\nContent-Length: 1\nX-Session-Id: pasted\n\n"+`{"model":"tiny","messages":[{"role":"user","content":"<b>é</b>"}]}`)
	b.press("#request button")
	b.await("the request is explained", `document.querySelector("#request-found h3 b")?.textContent.startsWith("vllm-")`, patience)
	text := b.text("#request-found")
	if !strings.Contains(text, "POST /v1/chat/completions") || !strings.Contains(text, "Sources of the session id") || !strings.Contains(text, "header:x-session-id") || strings.Contains(text, "pasted") {
		t.Errorf("the explanation is %q", text)
	}
	b.fill("#request-text", "GET /nothing HTTP/1.1")
	b.press("#request button")
	b.await("a refusal is explained", `document.querySelector("#request-found .bad")?.textContent.startsWith("tether answers 404 itself")`, patience)
	b.wantNoProblems()
}

// The page says that it lost the connection, and goes on once tether is back.
func TestLostConnection(t *testing.T) {
	f := startFleet(t, 2, usual, "")
	b := openFleet(t, f, desktop)
	f.restart(func() {
		b.await("the page says so", `!document.querySelector("#lost").hidden && document.querySelector("#lost").textContent.includes("The connection to tether is lost") && document.body.classList.contains("stale")`, 10*time.Second)
		if text := b.text("#link"); !strings.Contains(text, "lost") {
			t.Errorf("the link is %q", text)
		}
	})
	b.await("the page is live again", isLive+` && document.querySelector("#lost").hidden`, patience)
	b.wantNoProblems("/api/live")
}

// Where a token is set, the page asks for it, and keeps it in its memory alone.
func TestToken(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("let-me-in-0123456789\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := startFleet(t, 2, usual, fmt.Sprintf("admin: { token_file: %q }\n", token))
	b := open(t, f.page, desktop)
	b.await("the page asks for the token", `!document.querySelector("#token").hidden`, patience)
	b.fill("#token-value", "wrong")
	b.press("#token button")
	b.await("a wrong token is refused", `document.querySelector("#token-why").textContent.startsWith("That was not the token")`, patience)
	b.fill("#token-value", "let-me-in-0123456789")
	b.press("#token button")
	b.await("the page is live", isLive+` && document.querySelector("#token").hidden && `+rows+" === 2", patience)
	b.press("table.upstreams tbody tr button")
	b.press("#ask-yes")
	b.await("the token is used", outcome+` === "vllm-0 drains."`, patience)
	if kept := eval[string](b, `document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage) + document.documentElement.outerHTML`); strings.Contains(kept, "let-me-in") {
		t.Error("the token is kept outside of the memory of the scripts")
	}
	run(b, chromedp.Reload())
	b.await("a page that is loaded again has no token", `!document.querySelector("#token").hidden`, patience)
	b.wantNoProblems("/api/live")
}

// Names that servers and users choose are text, however they are spelled, and do not break the layout.
func TestHostileText(t *testing.T) {
	cfg := usual
	hostile := "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>\u202e\u0007\"'&amp;"
	cfg.Models = []string{"tiny", hostile, strings.Repeat("very-long-", 1000)}
	f := startFleet(t, 2, cfg, "")
	for _, l := range []look{desktop, phone} {
		b := openFleet(t, f, l)
		b.await("the models are shown", row(0)+`.textContent.includes("<img src=x onerror=")`, patience)
		b.fill("#session-id", `"><img/src=x/onerror=document.title='owned'>`)
		b.fill("#session-model", hostile)
		b.press("#session button")
		b.await("the id is looked up", `document.querySelector("#session-found .place") !== null`, patience)
		b.fill("#session-id", strings.Repeat("x", 10_000))
		b.press("#session button")
		b.await("a long id is an error", `document.querySelector("#session-found .bad") !== null`, patience)
		b.fill("#request-text", "POST /v1/chat/completions HTTP/1.1\nHost: x\nX-Session-Id: "+hostile+"\n\n"+`{"model":"`+strings.Repeat("m", 10_000)+`"}`)
		b.press("#request button")
		b.await("the request is explained", `document.querySelector("#request-found").children.length > 0`, patience)
		if found := eval[int](b, `document.querySelectorAll("main img, main script, main iframe").length`); found != 0 {
			t.Errorf("%d elements of markup in names", found)
		}
		if title := eval[string](b, "document.title"); title != "tether" {
			t.Errorf("the title is %q", title)
		}
		b.wantNoOverflow()
		b.wantNoProblems("/api/where")
	}
}

// wantNoOverflow checks that the page is not wider than the window.
func (b *tab) wantNoOverflow() {
	b.t.Helper()
	if size := eval[[]int](b, "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"); size[0] > size[1] {
		b.t.Errorf("the page is %d wide, the window %d", size[0], size[1])
	}
}

var (
	dark  = look{width: 1360, height: 900, scheme: "dark", scale: 1}
	phone = look{width: 390, height: 844, scheme: "light", scale: 2, phone: true}
)

// axe-core finds no violation, on any screen, with an answer and with a question open.
func TestAccessibility(t *testing.T) {
	home := os.Getenv("BROWSER_E2E_HOME")
	if home == "" {
		t.Skip("axe-core is not installed: make test-browser installs it")
	}
	axe, err := os.ReadFile(filepath.Join(home, "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	f := startFleet(t, 4, usual, "")
	f.talk(60, 600*time.Millisecond)
	for name, l := range map[string]look{"light": desktop, "dark": dark, "phone": phone, "still": {width: 1000, height: 700, scheme: "light", scale: 1, still: true}} {
		b := openFleet(t, f, l)
		b.await("figures are shown", `document.querySelectorAll("#tiles > div").length >= 5`, patience)
		b.fill("#session-id", sessionOf(3))
		b.press("#session button")
		b.await("a conversation is found", `document.querySelector("#session-found .place") !== null`, patience)
		eval[bool](b, `(scrollTo(0, 0), document.activeElement.blur(), true)`)
		b.wantAccessible(string(axe), name)
		b.wantNoOverflow()
		if l.still && eval[int](b, `document.getAnimations().length`) != 0 {
			t.Error("something moves although the user wants no motion")
		}
		b.press("table.upstreams tbody tr:nth-child(3) button")
		b.await("the page asks", dialog, patience)
		b.wantAccessible(string(axe), name+", with a question")
		b.wantNoProblems()
	}
}

// wantAccessible runs axe-core.
func (b *tab) wantAccessible(axe, what string) {
	b.t.Helper()
	type violation struct {
		ID, Help string
		Nodes    []struct{ HTML, FailureSummary string }
	}
	text := eval[string](b, axe+`; axe.run().then((r) => JSON.stringify({ violations: r.violations, passes: r.passes.length }))`)
	var result struct {
		Violations []violation
		Passes     int
	}
	if err := json.Unmarshal([]byte(text), &result); err != nil {
		b.t.Fatal(err)
	}
	if result.Passes < 20 {
		b.t.Errorf("%s: axe-core checked %d rules only", what, result.Passes)
	}
	for _, v := range result.Violations {
		b.t.Errorf("%s: %s (%s)", what, v.Help, v.ID)
		for _, n := range v.Nodes {
			b.t.Logf("  %.300s: %s", n.HTML, n.FailureSummary)
		}
	}
}

// Everything can be reached with the keyboard, in the order in which it stands.
func TestKeyboard(t *testing.T) {
	f := startFleet(t, 2, usual, "")
	b := openFleet(t, f, desktop)
	var reached []string
	for range 14 {
		run(b, chromedp.KeyEvent(kb.Tab))
		if name := eval[string](b, `(document.activeElement.getAttribute("aria-label") ?? document.activeElement.id) || document.activeElement.className || document.activeElement.localName`); name != "body" {
			reached = append(reached, name)
		}
	}
	want := "skip|Table of upstreams|Drain vllm-0|Drain vllm-1|List of events|session-id|session-model|first|request-text|first"
	if got := strings.Join(reached, "|"); !strings.HasPrefix(got, want) {
		t.Errorf("Tab reaches %s, want %s", got, want)
	}
	run(b, chromedp.KeyEvent(kb.Tab))
	eval[bool](b, `(document.querySelector("table.upstreams button").focus(), true)`)
	run(b, chromedp.KeyEvent(kb.Enter))
	b.await("Enter opens the question", dialog, patience)
	if focus := eval[string](b, "document.activeElement.id"); focus != "ask-no" {
		t.Errorf("the question has the focus at %q", focus)
	}
	b.wantNoProblems()
}

// The first line of the demonstration is the address of its page, which shows its four servers and the conversations.
func TestDemo(t *testing.T) {
	demo := exec.Command(binary.Path(), "demo", "--listen", wiretest.FreeAddr(t), "--admin-listen", wiretest.FreeAddr(t))
	out, err := demo.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	first, err := lines.ReadString('\n')
	t.Cleanup(func() {
		_ = demo.Process.Signal(os.Interrupt)
		_, _ = io.Copy(io.Discard, lines)
		if err := demo.Wait(); err != nil {
			t.Error(err)
		}
	})
	address, is := strings.CutPrefix(strings.TrimSpace(first), "Status page: ")
	if err != nil || !is {
		t.Fatalf("the first line is %q, %v", first, err)
	}
	b := open(t, address, desktop)
	b.await("four servers are listed", rows+" === 4", patience)
	b.await("conversations are shown", dots+" >= 20", patience)
	b.wantNoProblems()
}
