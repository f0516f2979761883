#!/bin/bash
# Reports of damaged run directories; the HTML page in a browser, the LaTeX in a compiler, where they are installed.
# usage: tests/reports.sh PROGRAM
set -u
program=${1:?usage: tests/reports.sh PROGRAM}
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 4
ulimit -f 1000000 # KB of a file
recorded=$top/results/recorded

# What is wrong stands in the first lines (title, heading, blanks, this), and rows are shown all the same.
minds() { # NAME DIR PATTERN [MORE]: MORE is somewhere in the report
    local format
    for format in md html; do
        seqarena report "$2" --format $format
        if [ $status -ne 0 ] || [ -s err ]; then
            fail "$1, $format" "exit status $status" "$(head -c 400 err)"
        elif ! { if [ $format = html ]; then sed 's/<[^>]*>//g; s/&quot;/"/g; s/&lt;/</g; s/&gt;/>/g' out; else cat out; fi; } |
            grep -A 12 '^#* *Summary$' | tail -n 12 | grep -qE "Mind:.*$3"; then
            fail "$1, $format" "no $3 in: $(grep -A 6 Summary out | head -c 900)"
        elif ! grep -qE -- "${4:-.}" out; then
            fail "$1, $format" "no ${4:-}"
        else
            pass "$1, $format"
        fi
    done
}
copy() { rm -rf "$2" && cp -r "$recorded/$1" "$2" && rm -f "$2/report.md"; }

copy lra-2/1K torn
head -c -400 torn/cells.csv >cut && mv cut torn/cells.csv
minds 'cells.csv is cut off' torn 'line 11: .*the 9 rows before are shown' 'linear_transformer'
copy lra-2/1K plan
rm plan/cells.csv
minds 'no cells.csv' plan 'has no cells.csv' '10 planned cells without a row'
copy lra-2/1K bare
rm bare/run.json
minds 'no run.json' bare 'has no run.json' 'linear_transformer'
copy lra-2/1K older
sed -i '2,$s/^1,/0,/' older/cells.csv
minds 'an older schema' older 'table version "0".*the columns that both know are shown' 'linear_transformer'
copy lra-2/1K foreign
sed -i '1s/,model,/,modell,/' foreign/cells.csv
minds 'a column is missing' foreign 'no column "model"'
copy lra-2/1K half
head -c 500 half/run.json >cut && mv cut half/run.json
minds 'run.json is cut off' half 'run.json: line [0-9]+' 'linear_transformer'
copy lra-2/1K twice
tail -n +2 "$recorded/lra-2/1K/cells.csv" >>twice/cells.csv
minds 'every row twice' twice '10 rows of .*twice.* stand twice in cells.csv' '10 ok'
copy text-slice examples
tail -n 20 "$recorded/text-slice/examples.csv" >>examples/examples.csv
minds 'examples twice' examples '20 rows of .* stand twice in examples.csv'
copy lra-2/1K unknown
sed -i 's/,performer,/,<script>alert(1)<\/script>,/; s/,bigbird,/,new_model,/' unknown/cells.csv
minds 'unknown models' unknown 'models that this build does not have: .*new_model.*script' 'new_model'
is 'a name is text, no HTML' sh -c '! grep -q "<script>alert" "$1"' - out
copy lra-2/1K none
sed -i 's/,1,ok,,/,1,failed,it broke,/' none/cells.csv
minds 'not one finished cell' none 'not one cell has finished' 'it broke'
head -n 1 "$recorded/lra-2/1K/cells.csv" >cut && mkdir empty && mv cut empty/cells.csv
minds 'not one row' empty 'not one cell has finished'
mkdir -p void
fails 3 'neither run.json nor cells.csv' report void
fails 3 'cells.csv: line 11' report torn --format csv
fails 3 'cells.csv: line 11' table lra-2 torn

# A million samples.
copy lra-2/1K million
awk -F, 'BEGIN { print "schema,key,phase,round,index,ns" }
    NR > 1 { for (i = 0; i < 100000; i++) printf "1,%s,%s,%d,%d,%d\n", $2, $3, i / 100, i % 100, 1e10 + i * 7919 % 100000 * 1000 }' \
    million/cells.csv >million/samples.csv
(ulimit -d 488281 && "$program" report million --format html -o million.html) >out 2>err
is 'a million samples in 500 MB' test $? -eq 0
is 'and they are counted' grep -q '>100000<' million.html

runs="$recorded/lra-2/1K $recorded/lra-2/4K $recorded/text-slice"
mkdir out.d && ln -s "$recorded" here
works '' report here/lra-2/1K here/lra-2/4K here/text-slice --format html -o out.d/report.html
seqarena report here/lra-2/1K here/lra-2/4K here/text-slice --format html -o out.d/again.html
is 'the same files give the same bytes' cmp out.d/report.html out.d/again.html
link=$(grep -o 'href="[^"]*/lra-2/1K/cells.csv"' out.d/report.html | cut -d'"' -f2)
is 'raw rows are linked' test -n "$link" -a -e "out.d/$link"
is 'nothing comes from elsewhere' sh -c '! grep -qE "(src|srcset)=|@import|url\(|href=\"https?:" "$1"' - out.d/report.html

chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
browse() { # ARGS...: the page's text after its scripts
    timeout -k 5 120 "$chromium" --headless=new --no-sandbox --disable-gpu --no-first-run --user-data-dir="$tmp/browser" \
        --enable-logging=stderr --virtual-time-budget=20000 "$@" 2>browser.log
}
if [ -z "$chromium" ]; then
    skip 'the page in a browser' 'no chromium'
else
    browse --dump-dom "file://$tmp/out.d/report.html" >dom
    is 'the page opens and its script runs' grep -q '<th scope="col"[^>]*><button type="button">' dom
    is 'no console messages' sh -c '! grep -a CONSOLE "$1"' - browser.log
    # A copy without the policy, with our script in it, in a frame as wide as a phone.
    sed '/Content-Security-Policy/d' out.d/report.html >framed.html
    { printf '<script>' && cat "$top/tests/page.js" && printf '</script>'; } >>framed.html
    cat >phone.html <<'END'
<!DOCTYPE html><title>phone</title><p id="said">nothing</p><iframe src="framed.html" width="360" height="740"></iframe>
<script>addEventListener('message', (e) => { document.getElementById('said').textContent = 'said ' + e.data; });</script>
END
    browse --dump-dom "file://$tmp/phone.html" >dom
    said=$(grep -o '<p id="said">[^<]*' dom)
    is "sorting, filters, tips, and nothing wider than 360 px" test "$said" = '<p id="said">said fine'
    [ "$said" = '<p id="said">said fine' ] || echo "# $said"
fi

if ! command -v pdflatex >/dev/null; then
    skip 'LaTeX' 'no pdflatex (apt-get install texlive-latex-base texlive-latex-recommended)'
else
    for name in report table; do
        case $name in
        report) works '' report $runs unknown --format latex -o report.tex ;;
        table) works '' table lra-1 --format latex -o table.tex ;;
        esac 2>/dev/null
        printf '\\documentclass{article}\n\\usepackage{booktabs,longtable}\n\\begin{document}\n\\input{%s}\n\\end{document}\n' \
            $name >whole.tex
        timeout 120 pdflatex -interaction=nonstopmode -halt-on-error whole >latex.log 2>&1
        is "LaTeX of a $name compiles" test $? -eq 0
        timeout 120 pdflatex -interaction=nonstopmode -halt-on-error whole >latex.log 2>&1
        is "no table of a $name is too wide" sh -c '! grep -A 1 "Overfull.*in alignment" "$1"' - latex.log
    done
fi
finish
