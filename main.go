// Command tether is a reverse proxy in front of vLLM servers that keeps every conversation on the server that
// already holds its KV cache.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"

	"tether/config"
)

// version is set by the build.
var version = "dev"

// Exit codes.
const (
	exitOK = iota
	exitFailed
	exitUsage
)

func main() { os.Exit(start(os.Args[1:], os.Stdout, os.Stderr)) }

// start runs the command line and gives the exit code.
func start(args []string, out, errOut io.Writer) int {
	root := commands(errOut)
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.Execute()
	if err == nil {
		return exitOK
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		fmt.Fprintln(errOut, "tether: "+line)
	}
	var usage usageError
	var problems *config.Problems
	if errors.As(err, &usage) || errors.As(err, &problems) {
		return exitUsage
	}
	return exitFailed
}

func commands(errOut io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:   "tether",
		Short: "keeps every conversation on the vLLM server that already holds its KV cache",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q: see tether --help", args[0])}
			}
			return nil
		},
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w: see %s --help", err, cmd.CommandPath())}
	})
	root.AddCommand(runCommand(errOut), checkCommand(), simCommand(errOut), versionCommand())
	return root
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "print the version", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "tether %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no arguments, only flags: see %s --help", cmd.CommandPath(), cmd.CommandPath())}
	}
	return nil
}

// untilSignal gives the life that signals end: SIGTERM in good order, SIGINT likewise but without the delay, a
// second one at once. SIGHUP says that there is no reload.
func untilSignal(onHangUp func()) (l life, stop func()) {
	s := &signals{received: make(chan os.Signal, 4), ended: make(chan struct{}), onHangUp: onHangUp}
	l.wanted, s.want = context.WithCancel(context.Background())
	l.needed, s.need = context.WithCancel(context.Background())
	l.delayed = s.delayed.Load
	signal.Notify(s.received, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	go s.follow()
	return l, s.stop
}

// signals turns the process's signals into the end of a life.
type signals struct {
	received   chan os.Signal
	ended      chan struct{}
	want, need context.CancelFunc
	delayed    atomic.Bool // the first one was SIGTERM
	onHangUp   func()
}

// follow handles signals until stop.
func (s *signals) follow() {
	defer close(s.ended)
	wanted := false
	for sig := range s.received {
		switch {
		case sig == syscall.SIGHUP:
			s.onHangUp()
		case !wanted:
			wanted = true
			s.delayed.Store(sig == syscall.SIGTERM)
			s.want()
		default:
			s.need()
		}
	}
}

func (s *signals) stop() {
	signal.Stop(s.received)
	close(s.received)
	<-s.ended
	s.want()
	s.need()
}
