package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience limits every wait for the page.
const patience = 20 * time.Second

// chromium returns the path of the browser.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("there is no Chromium: install it, or set CHROMIUM to its path")
	return ""
}

// tab is a page in a browser of its own.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	problems []string // guarded by mu: errors of the console, and requests to other hosts
	origin   string
}

// look is what a browser shows the page on.
type look struct {
	width, height int64
	scheme        string // light or dark
	still         bool   // prefers-reduced-motion
	scale         float64
	phone         bool
}

var desktop = look{width: 1360, height: 900, scheme: "light", scale: 1}

// open opens an address in a new browser.
func open(t *testing.T, address string, l look) *tab {
	t.Helper()
	options := append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...)
	// A test has the privileges of its user alone, and containers of CI let no process make a sandbox.
	options = append(options, chromedp.ExecPath(chromium(t)), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("lang", "en-US"),
		chromedp.UserDataDir(t.TempDir()))
	allocator, cancelBrowser := chromedp.NewExecAllocator(t.Context(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(func() { cancel(); cancelBrowser() })
	origin := address[:strings.Index(address[8:], "/")+8]
	b := &tab{t: t, ctx: ctx, origin: origin}
	if err := chromedp.Listen(ctx, b.hear); err != nil { // this starts the browser
		t.Fatal(err)
	}
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: l.scheme}}
	if l.still {
		features = append(features, &emulation.MediaFeature{Name: "prefers-reduced-motion", Value: "reduce"})
	}
	call(b, network.Enable, network.EnableParams{})
	call(b, cdplog.Enable, cdp.Empty{})
	call(b, runtime.Enable, cdp.Empty{})
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: l.width, Height: l.height, DeviceScaleFactor: l.scale, Mobile: l.phone})
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
	run(b, chromedp.Navigate(address))
	return b
}

// hear notes what the page should not do.
func (b *tab) hear(event any) {
	problem := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		problem = fmt.Sprintf("%s %v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning || e.Type == runtime.ConsoleAPICalledTypeAssert {
			problem = fmt.Sprintf("console.%s: %v", e.Type, e.Args)
		}
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError || e.Entry.Level == cdplog.EntryLevelWarning {
			problem = fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		if u := e.Request.URL; !strings.HasPrefix(u, b.origin) && !strings.HasPrefix(u, "data:") && u != "about:blank" {
			problem = "a request to " + u
		}
	}
	if problem != "" {
		b.mu.Lock()
		b.problems = append(b.problems, problem)
		b.mu.Unlock()
	}
}

// wantNoProblems checks what the page has done so far. The browser itself reports each answer of 400 and more, and each refused connection:
// refused are the paths for which the test wants such answers.
func (b *tab) wantNoProblems(refused ...string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, problem := range b.problems {
		isRefused := func(path string) bool {
			return strings.HasPrefix(problem, "network: ") && strings.HasSuffix(problem, path)
		}
		if !slices.ContainsFunc(refused, isRefused) {
			b.t.Errorf("the page: %s", problem)
		}
	}
	b.problems = nil
}

// run runs an action.
func run[T any](b *tab, a chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, a)
	if err != nil {
		b.t.Fatal(err)
	}
	return value
}

// call sends a command of the protocol.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	return run(b, func(ctx context.Context, target *chromedp.Target) (R, error) {
		return cdp.Call(ctx, target, command, params)
	})
}

// eval returns the value of an expression.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	return run(b, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// await waits until an expression is true, at most for limit, and returns how long that took.
func (b *tab) await(what, expression string, limit time.Duration) time.Duration {
	b.t.Helper()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if eval[bool](b, "Boolean("+expression+")") {
			return time.Since(began)
		}
		if time.Since(began) > limit {
			b.t.Fatalf("%s: not within %v", what, limit)
		}
	}
}

// text returns the text of the first element that matches.
func (b *tab) text(selector string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf("document.querySelector(%s)?.innerText ?? ''", quoted(selector)))
}

// press clicks into the middle of the first element that matches, as a user does, once nothing else covers it.
func (b *tab) press(selector string) {
	b.t.Helper()
	find := fmt.Sprintf(`(() => {
		const e = document.querySelector(%s);
		e.scrollIntoView({ block: "center", behavior: "instant" });
		const r = e.getBoundingClientRect();
		const [x, y] = [r.x + r.width / 2, r.y + r.height / 2];
		return e.contains(document.elementFromPoint(x, y)) ? [x, y] : [];
	})()`, quoted(selector))
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if at := eval[[]float64](b, find); len(at) == 2 {
			run(b, chromedp.MouseClickXY(at[0], at[1]))
			return
		}
		if time.Since(began) > patience {
			b.t.Fatalf("%s is covered", selector)
		}
	}
}

// fill writes a text into a field.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	eval[bool](b, fmt.Sprintf(`(() => {
		const e = document.querySelector(%s);
		e.focus();
		e.value = %s;
		e.dispatchEvent(new Event("input", { bubbles: true }));
		return true;
	})()`, quoted(selector), quoted(text)))
}

func quoted(text string) string {
	q, _ := json.Marshal(text)
	return string(q)
}

// picture writes a screenshot of the page, from its top to the end of the first element that matches.
func (b *tab) picture(file, until string) {
	b.t.Helper()
	size := eval[[]float64](b, fmt.Sprintf("[document.documentElement.clientWidth, scrollY + document.querySelector(%s).getBoundingClientRect().bottom + 14]", quoted(until)))
	beyond := true
	png := call(b, page.CaptureScreenshot, page.CaptureScreenshotParams{
		CaptureBeyondViewport: &beyond, Clip: &page.Viewport{Width: size[0], Height: size[1], Scale: 1},
	}).Data
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(file, png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}
