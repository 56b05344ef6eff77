package cli

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/spf13/cobra"

	"tether/app"
	"tether/config"
	"tether/demo"
)

type demoOptions struct {
	version       string
	upstreams     int
	affinity      string
	once          bool
	listen, admin string
}

func demoCommand(version string) *cobra.Command {
	o := demoOptions{version: version}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "show what tether is for: simulated servers, conversations, and the death of a server",
		Long: "Show what tether is for, in one process: simulated vLLM servers, a tether in front of them, conversations that\n" +
			"grow turn by turn, and the death and return of a server. It reads no configuration. --once shows a run with\n" +
			"affinity and one without, prints both side by side, and fails if a promise did not hold. Such a run listens on\n" +
			"free ports unless the flags name others.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	flags := cmd.Flags()
	flags.IntVar(&o.upstreams, "upstreams", 4, fmt.Sprintf("number of simulated servers, %d to %d", demo.MinUpstreams, demo.MaxUpstreams))
	flags.StringVar(&o.affinity, "affinity", "on", "on, or off: round robin, for comparison")
	flags.BoolVar(&o.once, "once", false, "run with and without affinity for some seconds, and compare")
	flags.StringVar(&o.listen, "listen", ":8080", "address for clients")
	flags.StringVar(&o.admin, "admin-listen", "127.0.0.1:8081", "address for operators")
	return cmd
}

func (o *demoOptions) run(cmd *cobra.Command) error {
	if err := o.check(cmd); err != nil {
		return err
	}
	shutdown, stop := untilSignal(func() {})
	defer stop()
	out := cmd.OutOrStdout()
	cfg := demo.Config{
		Upstreams: o.upstreams, Affinity: o.affinity == "on", Pace: demo.SlowPace(), Out: out,
		Columns: func() int { return columns(out) },
	}
	memory := app.LimitMemory()
	cfg.Start = func(s demo.Setup) (*demo.Proxy, error) { return o.tether(shutdown.Immediate, s, memory) }
	if o.once {
		cfg.Pace = demo.FastPace()
		_, _, err := demo.Once(shutdown.Graceful, cfg)
		return err
	}
	return demo.Run(shutdown.Graceful, cfg)
}

func (o *demoOptions) check(cmd *cobra.Command) error {
	if o.upstreams < demo.MinUpstreams || o.upstreams > demo.MaxUpstreams {
		return usageError("--upstreams: %d, want %d..%d", o.upstreams, demo.MinUpstreams, demo.MaxUpstreams)
	}
	if o.affinity != "on" && o.affinity != "off" {
		return usageError("--affinity: %q, want on or off", o.affinity)
	}
	if !o.once {
		return nil
	}
	if cmd.Flags().Changed("affinity") {
		return usageError("--once runs with and without affinity: leave --affinity out")
	}
	// Clients from outside do not connect to such a run, so any free ports will do: a busy port must not make it fail.
	for name, addr := range map[string]*string{"listen": &o.listen, "admin-listen": &o.admin} {
		if !cmd.Flags().Changed(name) {
			*addr = "127.0.0.1:0"
		}
	}
	return nil
}

// Settings of the demonstration: it has few sessions, and ends quickly.
const (
	demoSessions     = 100_000
	demoShutdownTime = time.Second
)

// tether starts a tether in front of the simulated servers.
func (o *demoOptions) tether(immediate context.Context, s demo.Setup, memory int64) (*demo.Proxy, error) {
	cfg, err := config.Load(config.Source{Upstreams: s.URLs, Memory: memory, Flags: []config.Flag{
		{Name: "--listen", Path: "listen", Value: o.listen},
		{Name: "--admin-listen", Path: "admin.listen", Value: o.admin},
	}})
	if err != nil {
		return nil, err
	}
	for i, name := range s.Names {
		cfg.Upstreams[i].Name = name
	}
	cfg.Session.Routing.Affinity, cfg.Health.Interval = s.Affinity, s.Interval
	cfg.Session.Pins.Max, cfg.Proxy.ShutdownTimeout = demoSessions, demoShutdownTime
	cfg.Log = config.Log{Level: "warn", Format: "console", Access: "off"}
	log, err := app.NewLogger(cfg.Log, s.Warnings)
	if err != nil {
		return nil, err
	}
	return startProxy(immediate, cfg, app.Env{Version: o.version, Memory: memory, Log: log, Access: io.Discard})
}

// startProxy runs a tether until Stop, or until immediate ends.
func startProxy(immediate context.Context, cfg *config.Config, env app.Env) (*demo.Proxy, error) {
	graceful, stop := context.WithCancel(context.Background())
	at, ended := make(chan app.Addresses, 1), make(chan struct{})
	var served error // may be read once ended is closed
	serve := func() {
		defer close(ended)
		shutdown := app.Shutdown{Graceful: graceful, Delayed: func() bool { return false }, Immediate: immediate}
		served = app.Run(shutdown, cfg, env, func(a app.Addresses) { at <- a })
	}
	go serve()
	p := &demo.Proxy{Ended: ended, Stop: func() error { stop(); <-ended; return served }}
	select {
	case a := <-at:
		p.Clients, p.Operators = dialable(a.Clients), dialable(a.Operators)
		return p, nil
	case <-ended:
		return nil, p.Stop()
	}
}

// dialable returns the address at which a client on this host reaches the listener on addr.
func dialable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}
