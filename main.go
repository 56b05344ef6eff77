// Command tether is a reverse proxy in front of vLLM servers that keeps every conversation on the server that
// already holds its KV cache.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"tether/config"
)

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
	root.AddCommand(runCommand(errOut), checkCommand(), demoCommand(), healthCommand(), simCommand(errOut), whereCommand(), versionCommand())
	return root
}
