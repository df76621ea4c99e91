// Command gatekeeper-peer judges reviews with Gatekeeper's target on the constraint framework and
// OPA, from a file of JSON lines: {"template": …}, {"constraint": …}, {"data": …} and
// {"review": an AdmissionReview, "name": …}.
//
// It prints a line "violations NAME N" a review, and then what a review costs: CPU time of the
// process with its garbage collection, and allocation. With -v, every violation as well; with
// -rego, templates that have CEL too are run in Rego.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sort"
	"syscall"

	"github.com/open-policy-agent/frameworks/constraint/pkg/apis"
	constraintclient "github.com/open-policy-agent/frameworks/constraint/pkg/client"
	"github.com/open-policy-agent/frameworks/constraint/pkg/client/drivers/rego"
	"github.com/open-policy-agent/frameworks/constraint/pkg/client/reviews"
	"github.com/open-policy-agent/gatekeeper/v3/pkg/drivers/k8scel"
	"github.com/open-policy-agent/gatekeeper/v3/pkg/gator/reader"
	"github.com/open-policy-agent/gatekeeper/v3/pkg/mutation/types"
	"github.com/open-policy-agent/gatekeeper/v3/pkg/target"
	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
)

// point is where Gatekeeper's webhook stands.
const point = "validation.gatekeeper.sh"

// rounds is how often a review is judged; the middle one counts.
const rounds = 3

type line struct {
	Template   *unstructured.Unstructured `json:"template"`
	Constraint *unstructured.Unstructured `json:"constraint"`
	Data       *unstructured.Unstructured `json:"data"`
	Review     json.RawMessage            `json:"review"`
	Name       string                     `json:"name"`
}

// cpu is the CPU time of the process in nanoseconds.
func cpu() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "gatekeeper-peer:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) < 2 {
		return fmt.Errorf("give the file of JSON lines")
	}
	scheme := k8sruntime.NewScheme()
	if err := apis.AddToScheme(scheme); err != nil {
		return err
	}
	verbose := slices.Contains(os.Args[2:], "-v")
	driver, err := rego.New()
	if err != nil {
		return err
	}
	options := []constraintclient.Opt{
		constraintclient.Targets(&target.K8sValidationTarget{}),
		constraintclient.EnforcementPoints(point),
	}
	if !slices.Contains(os.Args[2:], "-rego") {
		native, err := k8scel.New()
		if err != nil {
			return err
		}
		// The first that a template has code for is taken, as by Gatekeeper's webhook.
		options = append(options, constraintclient.Driver(native))
	}
	client, err := constraintclient.NewClient(append(options, constraintclient.Driver(driver))...)
	if err != nil {
		return err
	}
	file, err := os.Open(os.Args[1])
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(make([]byte, 1<<20), 64<<20)
	var pending []line
	ctx := context.Background()
	for lines.Scan() {
		var one line
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			return err
		}
		switch {
		case one.Template != nil:
			template, err := reader.ToTemplate(scheme, one.Template)
			if err == nil {
				_, err = client.AddTemplate(ctx, template)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", one.Template.GetName(), err)
			}
		case one.Constraint != nil:
			if _, err := client.AddConstraint(ctx, one.Constraint); err != nil {
				return fmt.Errorf("%s: %w", one.Constraint.GetName(), err)
			}
		case one.Data != nil:
			if _, err := client.AddData(ctx, one.Data); err != nil {
				return fmt.Errorf("%s: %w", one.Data.GetName(), err)
			}
		default:
			pending = append(pending, one)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	var costs []float64
	var total, refused int
	var before, after runtime.MemStats
	for _, one := range pending {
		// Not measured: the first run of a query prepares it.
		found, err := judge(ctx, client, one.Review, one.Name, verbose)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", one.Name, err)
			refused++
		}
		fmt.Printf("violations %d %s\n", found, one.Name)
		total += found
	}
	runtime.GC()
	runtime.ReadMemStats(&before)
	begun := cpu()
	for _, one := range pending {
		var each []int64
		for range rounds {
			begun := cpu()
			_, _ = judge(ctx, client, one.Review, one.Name, false)
			each = append(each, cpu()-begun)
		}
		sort.Slice(each, func(i, j int) bool { return each[i] < each[j] })
		costs = append(costs, float64(each[rounds/2])/1e6)
	}
	count := float64(len(pending) * rounds)
	mean := float64(cpu()-begun) / 1e6 / count
	runtime.ReadMemStats(&after)
	sort.Float64s(costs)
	at := func(share float64) float64 { return costs[min(int(share*float64(len(costs))), len(costs)-1)] }
	fmt.Printf("reviews %d\nfound %d\nrefused %d\n", len(pending), total, refused)
	fmt.Printf("mean %.3f\np50 %.3f\np95 %.3f\np99 %.3f\n", mean, at(0.50), at(0.95), at(0.99))
	fmt.Printf("allocated %.1f\nallocations %.0f\n", float64(after.TotalAlloc-before.TotalAlloc)/1024/count,
		float64(after.Mallocs-before.Mallocs)/count)
	return nil
}

// judge goes from the request's bytes to the violations.
func judge(ctx context.Context, client *constraintclient.Client, bytes []byte, name string, verbose bool) (int, error) {
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(bytes, &review); err != nil {
		return 0, err
	}
	asked := target.AugmentedReview{
		AdmissionRequest: review.Request, Source: types.SourceTypeOriginal, IsAdmission: true,
	}
	answers, err := client.Review(ctx, asked, reviews.EnforcementPoint(point))
	if answers == nil {
		return 0, err
	}
	found := answers.Results()
	if verbose {
		for _, one := range found {
			fmt.Printf("V\t%s\t%s\t%s\t%q\n", name, one.Constraint.GetKind(), one.Constraint.GetName(), one.Msg)
		}
	}
	return len(found), err
}
