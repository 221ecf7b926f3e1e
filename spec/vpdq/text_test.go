// SPDX-License-Identifier: Apache-2.0

package vpdq

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

const hash = "e6cf059c4c6696362cc9d6663cd9c263714169d98327399993363d9c3d9cc666"

func TestVectorsAreCanonical(t *testing.T) {
	for name, frames := range map[string]int{"pattern-sd-grey-bar": 206, "pattern-sd-with-large-logo-bar": 206, "test-padded-dimensions": 150} {
		b, err := os.ReadFile("testdata/" + name + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(string(b))
		if err != nil || len(got) != frames || Format(got) != string(b) {
			t.Errorf("%s: %d frames, %v; the text comes back changed: %v", name, len(got), err, Format(got) != string(b))
		}
	}
}

func TestJSONForm(t *testing.T) {
	for in, millis := range map[string]int64{
		"0.0": 0, "0": 0, "1.0": 1000, "12.3": 12300, "12.345": 12345, "0.0333": 33, "0.0667": 67, "1.23e+03": 1230000, "1e+02": 100000, "3.6e-05": 0,
	} {
		got, err := Parse(`["` + hash + `,77,` + in + `"]`)
		if err != nil || len(got) != 1 || got[0].Millis != millis || got[0].Quality != 77 || got[0].Hash.String() != hash {
			t.Errorf("%s: %+v, %v; want %d ms", in, got, err, millis)
		}
	}
	two := `["` + hash + `,100,0.000", "` + hash + `,3,1234.500"]`
	got, err := Parse(" " + two + "\n")
	if err != nil || len(got) != 2 || got[1].Number != 1 || FormatJSON(got) != two {
		t.Errorf("%+v, %v; written %s", got, err, FormatJSON(got))
	}
	if got, err := Parse("[]"); err != nil || len(got) != 0 || FormatJSON(got) != "[]" {
		t.Errorf("an empty array: %v, %v", got, err)
	}
}

func TestRefusals(t *testing.T) {
	line := "0,100," + hash + ",0.000\n"
	for name, in := range map[string]string{
		"no line end":        strings.TrimSuffix(line, "\n"),
		"carriage return":    strings.TrimSuffix(line, "\n") + "\r\n",
		"blank line":         line + "\n",
		"three fields":       "0,100," + hash + "\n",
		"five fields":        "0,100," + hash + ",0.000,\n",
		"negative frame":     "-1,100," + hash + ",0.000\n",
		"leading zero":       "00,100," + hash + ",0.000\n",
		"huge frame":         "2147483648,100," + hash + ",0.000\n",
		"quality 101":        "0,101," + hash + ",0.000\n",
		"no quality":         "0,," + hash + ",0.000\n",
		"short hash":         "0,100," + hash[1:] + ",0.000\n",
		"upper-case hash":    "0,100," + strings.ToUpper(hash) + ",0.000\n",
		"two decimals":       "0,100," + hash + ",0.00\n",
		"signed decimals":    "0,100," + hash + ",0.+00\n",
		"no decimals":        "0,100," + hash + ",0\n",
		"negative seconds":   "0,100," + hash + ",-1.000\n",
		"huge seconds":       "0,100," + hash + ",1000000000.000\n",
		"frame twice":        line + line,
		"frames backwards":   "1" + line[1:] + line,
		"JSON object":        `{"0":{"quality":100}}`,
		"JSON of numbers":    `[1]`,
		"JSON not ended":     `["` + hash + `,100,0.0"`,
		"JSON and more":      `["` + hash + `,100,0.0"]]`,
		"JSON two fields":    `["` + hash + `,100"]`,
		"JSON upper case":    `["` + strings.ToUpper(hash) + `,100,0.0"]`,
		"JSON infinity":      `["` + hash + `,100,inf"]`,
		"JSON hex float":     `["` + hash + `,100,0x1p3"]`,
		"JSON overflow":      `["` + hash + `,100,1e400"]`,
		"JSON negative time": `["` + hash + `,100,-1.0"]`,
		"JSON late":          `["` + hash + `,100,1e+09"]`,
		"JSON comma":         `["` + hash + `,100,0.0",]`,
	} {
		if got, err := Parse(in); spec.CodeOf(err) != spec.CodeSignal {
			t.Errorf("%s: %v, %v", name, got, err)
		} else if strings.Contains(err.Error(), hash[:8]) {
			t.Errorf("%s: the error repeats a hash", name)
		}
	}
	for name, in := range map[string]string{"long": strings.Repeat(" ", MaxText+1), "many frames": "[" + strings.Repeat(`"`+hash+`,1,0.0",`, MaxFrames) + `"` + hash + `,1,0.0"]`} {
		if _, err := Parse(in); spec.CodeOf(err) != spec.CodeTooLarge {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, empty := range []string{"", "[]"} {
		if spec.CodeOf(Check(empty)) != spec.CodeSignal {
			t.Errorf("Check accepts %q", empty)
		}
	}
	if err := Check(line); err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("0,100," + hash + ",0.000\n7,3," + hash + ",12.345\n")
	f.Add(`["` + hash + `,100,1.23e+03", "` + hash + `,0,0.0"]`)
	f.Fuzz(func(t *testing.T, in string) {
		frames, err := Parse(in)
		if err != nil {
			return
		}
		again, err := Parse(Format(frames))
		if err != nil || !slices.Equal(again, frames) {
			t.Fatalf("%q: %v comes back as %v, %v", in, frames, again, err)
		}
		if len(in) > 0 && strings.TrimSpace(in)[0] != '[' && Format(frames) != in {
			t.Fatalf("%q is not canonical and was read", in)
		}
		fromJSON, err := Parse(FormatJSON(frames))
		if err != nil || len(fromJSON) != len(frames) || Compare(frames, fromJSON) != Compare(frames, frames) {
			t.Fatalf("%q: %v comes back from JSON as %v, %v", in, frames, fromJSON, err)
		}
	})
}
