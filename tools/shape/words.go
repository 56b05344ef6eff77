package main

import (
	"os"
	"path/filepath"
	"strings"
)

// listHeading stands above the list of the words that a reader must know to change the routing of a request. The list is the
// next block of code of that file: a line for each word, which names a thing of the code as package.Name, and what it means.
const listHeading = "# Words of routing\n"

// words are the listed words.
func (t *tree) words() (words []string) {
	text, err := os.ReadFile(filepath.Join(t.dir, "docs", "ARCHITECTURE.md"))
	if err != nil {
		return nil
	}
	_, rest, _ := strings.Cut(string(text), listHeading)
	_, rest, _ = strings.Cut(rest, "```\n")
	list, _, _ := strings.Cut(rest, "```")
	for line := range strings.Lines(list) {
		if fields := strings.Fields(line); len(fields) > 0 {
			words = append(words, fields[0])
		}
	}
	return words
}
