package sim_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"tether/sim"
	"tether/sim/fault"
)

// A test of a proxy whose upstream dies in the middle of a stream.
func Example() {
	srv := sim.New(sim.Config{Record: 10})
	if _, err := srv.Start("127.0.0.1:0"); err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Kill()
	if err := srv.Inject(fault.Fault{Kind: fault.CutInside, Arg: "2", Times: 1}); err != nil {
		fmt.Println(err)
		return
	}
	body := `{"model":"tiny","prompt":"Hello","max_tokens":9,"stream":true}`
	r, err := http.Post(srv.URL()+"/v1/completions", "application/json", strings.NewReader(body))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	fmt.Println(strings.Count(string(text), "\n\n"), "events, then:", err)
	fmt.Println("seen:", srv.Requests()[0].Target)
	// Output:
	// 2 events, then: unexpected EOF
	// seen: /v1/completions
}
