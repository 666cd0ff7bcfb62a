// Renders templates as the controller of sealed-secrets does, by the real packages.
//
// Each line of its input is {"name": …, "text": …, "data": {KEY: BASE64}}, each line of its output {"output": BASE64},
// {"stage": "parse"} or {"stage": "execute"}. With the argument "functions" it prints the names of all functions instead.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"text/template"

	"github.com/Masterminds/sprig/v3"
)

type request struct {
	Name string            `json:"name"`
	Text []byte            `json:"text"`
	Data map[string][]byte `json:"data"`
}

type answer struct {
	Output []byte `json:"output"`
	Stage  string `json:"stage,omitempty"`
	Error  string `json:"error,omitempty"`
}

func functions() template.FuncMap {
	found := sprig.GenericFuncMap()
	delete(found, "env")
	delete(found, "expandenv")
	delete(found, "getHostByName")
	return found
}

func render(asked request) answer {
	parsed, err := template.New(asked.Name).Funcs(functions()).Parse(string(asked.Text))
	if err != nil {
		return answer{Stage: "parse", Error: err.Error()}
	}
	data := map[string]string{}
	for key, value := range asked.Data {
		data[key] = string(value)
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, data); err != nil {
		return answer{Stage: "execute", Error: err.Error()}
	}
	return answer{Output: out.Bytes()}
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "functions" {
		names := []string{}
		for name := range functions() {
			names = append(names, name)
		}
		sort.Strings(names)
		for _, name := range names {
			fmt.Println(name)
		}
		return
	}
	in := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var asked request
		if err := json.Unmarshal(line, &asked); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if err := out.Encode(render(asked)); err != nil {
			os.Exit(1)
		}
	}
}
