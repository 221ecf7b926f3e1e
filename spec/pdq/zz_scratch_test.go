package pdq_test

import (
	"fmt"
	"github.com/tocsin-db/tocsin/spec/pdq"
	"math/rand"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestScratch(t *testing.T) {
	r := rand.New(rand.NewSource(9))
	os.MkdirAll("/tmp/pdq/d", 0o755)
	var args []string
	want := map[string]string{}
	n := 400
	for i := 0; i < n; i++ {
		w, h := 5+r.Intn(508), 5+r.Intn(508)
		if i%10 == 0 {
			w, h = []int{64, 128, 256, 512, 127, 129, 384, 385}[r.Intn(8)], []int{64, 128, 256, 512, 127, 129, 384, 385}[r.Intn(8)]
		}
		if i%50 == 3 {
			w = r.Intn(700) + 5
		}
		pix := make([]byte, 3*w*h)
		mode := i % 5
		base := r.Intn(256)
		for y := 0; y < h; y++ {
			for x := 0; x < w; x++ {
				for c := 0; c < 3; c++ {
					v := 0
					switch mode {
					case 0:
						v = r.Intn(256)
					case 1:
						v = base
					case 2:
						v = (x*255/w + y*c) & 255
					case 3:
						v = base ^ (((x/13)^(y/17))&1)*0x70 + r.Intn(3)
					case 4:
						if x > w/2 {
							v = 255
						} else {
							v = base
						}
					}
					pix[3*(y*w+x)+c] = byte(v)
				}
			}
		}
		name := fmt.Sprintf("/tmp/pdq/d/%d.ppm", i)
		os.WriteFile(name, append([]byte(fmt.Sprintf("P6 %d %d 255\n", w, h)), pix...), 0o644)
		args = append(args, name)
		if w > 512 || h > 512 {
			q := make([]byte, 3*512*512)
			for y := 0; y < 512; y++ {
				for x := 0; x < 512; x++ {
					copy(q[3*(y*512+x):][:3], pix[3*((y*h/512)*w+x*w/512):])
				}
			}
			pix = q
			w, h = 512, 512
		}
		tr, err := pdq.TransformRGB(pix, w, h)
		if err != nil {
			t.Fatal(err)
		}
		d := tr.Dihedral()
		s := fmt.Sprintf("%s,%s,%d", name, d[0], tr.Quality())
		for _, x := range d[1:] {
			s += "," + x.String()
		}
		want[name] = s
	}
	out, err := exec.Command("/tmp/pdq/ref", args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	bad := 0
	ls := strings.Split(strings.TrimSpace(string(out)), "\n")
	for _, l := range ls {
		nm, _, _ := strings.Cut(l, ",")
		if want[nm] != l {
			bad++
			if bad < 4 {
				t.Errorf("%s\n%s", l, want[nm])
			}
		}
	}
	t.Log(len(ls), bad)
}
