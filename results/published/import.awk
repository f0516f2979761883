# import.awk - one long file of published numbers of the Long Range Arena from the files that were typed in, one a paper
#
#     LC_ALL=C awk -f results/published/import.awk ../shared/published/lra_*.csv >results/published/lra.csv
#
# The typed files have ten fields a line, no quotes and no commas inside fields; a line that breaks this stops the
# import with its place. What comes out is the same rows in the same order, with a column `schema` before them; no
# value is changed. FAIL stands where a paper says that a model did not get above chance.
BEGIN {
    FS = OFS = ","
    header = "table_id,source,arxiv,table,model,task,metric,value,unit,notes"
    print "schema", header
}
function stop(what) { printf "%s: line %d: %s\n", FILENAME, FNR, what >"/dev/stderr"; failed = 1; exit 1 }
{ sub(/\r$/, "") }
FNR == 1 { if ($0 != header) stop("not the header " header); next }
/"/ { stop("a quote mark; this import reads none") }
NF != 10 { stop(NF " fields, not 10") }
$1 == "" || $2 == "" || $4 == "" || $5 == "" || $6 == "" || $7 == "" { stop("no table, source, model, task or metric") }
$8 != "FAIL" && $8 !~ /^-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?$/ { stop("value \"" $8 "\" is neither a number nor FAIL") }
{ print 1, $0 }
END { exit failed }
