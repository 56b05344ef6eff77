package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"tether/config"
)

// healthTime bounds tether health: a process that takes longer to say that it is ready is not.
const healthTime = 3 * time.Second

func healthCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "health [-c config.yaml]",
		Short: "exit 0 if the tether on this host is ready, for a container's health check",
		Long: "Ask the admin listener on this host whether it is ready: exit 0 if it is, else 1 and a line that says why.\n" +
			"The listener is found as run finds it: in the file, in TETHER_ADMIN_LISTEN, by --admin-listen.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			listen, err := config.AdminListen(o.source(cmd.Flags()))
			if err != nil {
				return errors.New(err.Error()) // exit 1 like all else: Docker reserves 2
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), healthTime)
			defer cancel()
			return askReady(ctx, listen)
		},
	}
	cmd.Flags().StringVarP(&o.file, "config", "c", "", "configuration file (YAML); default: $"+config.FileVariable)
	cmd.Flags().StringVar(&o.admin, "admin-listen", "127.0.0.1:8081", "where operators are served")
	return cmd
}

// askReady asks the admin listener that listens on listen whether it is ready.
func askReady(ctx context.Context, listen string) error {
	addrs, err := local(listen)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{ // no proxy: this is this host
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dialFirst(ctx, addrs) },
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addrs[0]+"/readyz", http.NoBody)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err
		}
		return fmt.Errorf("not ready: %s: %w", listen, err)
	}
	_ = res.Body.Close()
	switch res.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusServiceUnavailable:
		return fmt.Errorf("not ready: %s: no upstream is up, or it is shutting down", listen)
	}
	return fmt.Errorf("not ready: %s: answered %d, is that tether's admin listener?", listen, res.StatusCode)
}

// local gives the addresses on which a listener on listen answers this host, the likeliest first.
func local(listen string) ([]string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, err
	}
	if port == "0" {
		return nil, fmt.Errorf("admin.listen: %q is another port at every start, want a fixed one", listen)
	}
	ip, err := netip.ParseAddr(host)
	const v4, v6 = "127.0.0.1", "::1"
	var hosts []string
	switch {
	case host == "":
		hosts = []string{v4, v6}
	case err != nil || !ip.IsUnspecified(): // a name, or one address
		hosts = []string{host}
	case ip.Is4():
		hosts = []string{v4}
	default: // such a listener takes IPv4 too, and a container may have no other loopback
		hosts = []string{v6, v4}
	}
	for i, h := range hosts {
		hosts[i] = net.JoinHostPort(h, port)
	}
	return hosts, nil
}

// dialFirst connects to the first of addrs that takes it; the error is of the likeliest, the first.
func dialFirst(ctx context.Context, addrs []string) (net.Conn, error) {
	var first error
	for _, addr := range addrs {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			return c, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}
