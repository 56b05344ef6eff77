// Package cli is tether's command line. Each command reads its flags, calls the package that does the work, and prints
// the result. Main decides on the exit code; package main exits.
//
// All other files are tested by the scripts in testdata/script, which run every command as its users do.
//
// Goroutines: signals.follow, awaited by the command; serve, which the demonstration awaits.
package cli

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tether/app"
	"tether/config"
	"tether/logs"
)

// Exit codes.
const (
	exitOK = iota
	exitFailed
	exitUsage
)

// logTime is how long the process waits at its end for each of standard output and standard error to accept what is left of
// its logs.
const logTime = time.Second

// Main runs the command line of this version of tether and returns the exit code.
func Main(version string, args []string, out, errOut io.Writer) int {
	stderr := logs.Start(errOut, 0)
	defer stderr.Close(logTime)
	return execute(commands(version, stderr), args, out, stderr)
}

func execute(root *cobra.Command, args []string, out, errOut io.Writer) int {
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
	var usage app.UsageError
	var problems *config.Problems
	if errors.As(err, &usage) || errors.As(err, &problems) {
		return exitUsage
	}
	return exitFailed
}

func commands(version string, errOut *logs.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:   "tether",
		Short: "keeps every conversation on the vLLM server that already holds its KV cache",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError("unknown command %q: see tether --help", args[0])
			}
			return nil
		},
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError("%w: see %s --help", err, cmd.CommandPath())
	})
	root.AddCommand(runCommand(version, errOut), checkCommand(), demoCommand(version), healthCommand(), simCommand(errOut), whereCommand(),
		topCommand(), upstreamsCommand(), drainCommand(), undrainCommand(), sessionsCommand(), reloadCommand(), versionCommand(version))
	return root
}

// usageError returns an error that ends the process with the exit code for wrong usage.
func usageError(format string, args ...any) error {
	return app.UsageError{Err: fmt.Errorf(format, args...)}
}

// noArgs rejects arguments: the command takes flags alone.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError("%s takes no arguments, only flags: see %s --help", cmd.CommandPath(), cmd.CommandPath())
	}
	return nil
}

func versionCommand(version string) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "print the version", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "tether %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
