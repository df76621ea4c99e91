// Command opa-peer answers (policy, input) pairs with OPA, a JSON line each.
//
// A request names modules, entries such as "data.p.r", and optionally input and data. The answer
// is a list, one for each entry, or a single one when the modules do not load. Each
// has "error" with "stage" (parse, compile, eval), or "undefined", or "value", in which a set is
// {"$set": [...]} with its members in OPA's order.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/version"
)

type module struct {
	Source string `json:"source"`
	V1     bool   `json:"v1"`
}

type request struct {
	Modules []module        `json:"modules"`
	Entries []string        `json:"entries"`
	Input   json.RawMessage `json:"input,omitempty"`
	Data    map[string]any  `json:"data,omitempty"`
	Strict  bool            `json:"strict"`
}

type answer struct {
	Stage     string `json:"stage,omitempty"`
	Error     string `json:"error,omitempty"`
	Undefined bool   `json:"undefined,omitempty"`
	Value     any    `json:"value"`
}

// keyText is a key that is no string as OPA writes it in JSON.
func keyText(k *ast.Term) string {
	value, err := ast.JSON(k.Value)
	if err != nil {
		return k.Value.String()
	}
	text, err := json.Marshal(value)
	if err != nil {
		return k.Value.String()
	}
	return string(text)
}

// plain keeps sets apart from arrays, and keys that are no strings apart from those that are.
func plain(v ast.Value) any {
	switch v := v.(type) {
	case ast.Null:
		return map[string]any{"$null": true}
	case ast.Boolean:
		return bool(v)
	case ast.Number:
		return json.Number(string(v))
	case ast.String:
		return string(v)
	case *ast.Array:
		out := make([]any, 0, v.Len())
		v.Foreach(func(t *ast.Term) { out = append(out, plain(t.Value)) })
		return out
	case ast.Set:
		out := make([]any, 0, v.Len())
		for _, t := range v.Slice() {
			out = append(out, plain(t.Value))
		}
		return map[string]any{"$set": out}
	case ast.Object:
		out := map[string]any{}
		v.Foreach(func(k, x *ast.Term) {
			if s, ok := k.Value.(ast.String); ok {
				out[string(s)] = plain(x.Value)
			} else {
				out[keyText(k)] = plain(x.Value)
			}
		})
		return out
	default:
		return map[string]any{"$other": fmt.Sprintf("%T", v)}
	}
}

func load(r request) (*ast.Compiler, *answer) {
	modules := map[string]*ast.Module{}
	for i, m := range r.Modules {
		version := ast.RegoV0
		if m.V1 {
			version = ast.RegoV1
		}
		name := fmt.Sprintf("module%d.rego", i)
		parsed, err := ast.ParseModuleWithOpts(name, m.Source, ast.ParserOptions{RegoVersion: version})
		if err != nil {
			return nil, &answer{Stage: "parse", Error: err.Error()}
		}
		if parsed == nil {
			return nil, &answer{Stage: "parse", Error: "empty"}
		}
		modules[name] = parsed
	}
	compiler := ast.NewCompiler()
	compiler.Compile(modules)
	if compiler.Failed() {
		return nil, &answer{Stage: "compile", Error: compiler.Errors.Error()}
	}
	return compiler, nil
}

func judge(r request) []answer {
	compiler, failed := load(r)
	if failed != nil {
		return []answer{*failed}
	}
	if r.Data == nil {
		r.Data = map[string]any{}
	}
	store := inmem.NewFromObject(r.Data)
	answers := make([]answer, 0, len(r.Entries))
	for _, entry := range r.Entries {
		answers = append(answers, ask(r, entry, compiler, store))
	}
	return answers
}

func ask(r request, entry string, compiler *ast.Compiler, store storage.Store) (a answer) {
	defer func() {
		if p := recover(); p != nil {
			a = answer{Stage: "eval", Error: fmt.Sprintf("panic: %v", p)}
		}
	}()
	options := []func(*rego.Rego){
		rego.Query(entry),
		rego.Compiler(compiler),
		rego.Store(store),
		rego.Time(time.Unix(0, 0)),
		rego.StrictBuiltinErrors(r.Strict),
		rego.GenerateJSON(func(t *ast.Term, _ *rego.EvalContext) (any, error) {
			return plain(t.Value), nil
		}),
	}
	if r.Input != nil {
		input, err := ast.ValueFromReader(bytes.NewReader(r.Input))
		if err != nil {
			return answer{Stage: "parse", Error: err.Error()}
		}
		options = append(options, rego.ParsedInput(input))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	set, err := rego.New(options...).Eval(ctx)
	if err != nil {
		return answer{Stage: "eval", Error: err.Error()}
	}
	if len(set) == 0 {
		return answer{Undefined: true}
	}
	return answer{Value: set[0].Expressions[0].Value}
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "version" {
		fmt.Println(version.Version)
		return
	}
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	decoder := json.NewDecoder(in)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for {
		var r request
		if err := decoder.Decode(&r); err != nil {
			break
		}
		if err := encoder.Encode(judge(r)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if err := out.Flush(); err != nil {
			os.Exit(1)
		}
	}
}
