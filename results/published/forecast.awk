# forecast.awk - published numbers of forecasting from the files that were typed in, one a paper
#
#     cd ../shared/published && LC_ALL=C awk -f .../results/published/forecast.awk forecast_ltsf.csv forecast_informer.csv \
#         forecast_itransformer.csv forecast_patchtst.csv forecast_tfb.csv >.../results/published/forecast.csv
#
# Rows of the tables that results/tables/ names, in the order of the files; no value is changed. A typed line has a data
# set, a horizon and a mode where a row here has one task: "ETTh1 96", and "ETTh1 96 S" where the target alone is
# forecast, and "ETTh2 336, batch 32" where the same cell is printed for several test batches. Metrics get the names that the tables ask for. A quoted field is copied as it stands.
BEGIN {
    header = "table_id,source,arxiv,table,model,dataset,horizon,mode,metric,value,notes"
    print "schema,table_id,source,arxiv,table,model,task,metric,value,unit,notes"
    n = split("ltsf_t1_univariate ltsf_t2_multivariate tfb_t2_drop_last informer_t1_univariate informer_t2_multivariate itransformer_t1_avg " \
              "itransformer_full itransformer_efficiency patchtst_t3_supervised", names, " ")
    for (i = 1; i <= n; i++) wanted[names[i]] = 1
    name["MSE"] = "mse"; unit["MSE"] = "standardised"
    name["MAE"] = "mae"; unit["MAE"] = "standardised"
    name["memory_GB"] = "peak_memory_per_device"; unit["memory_GB"] = "GB"
    name["train_ms_per_iter"] = "train_ms_per_iter"; unit["train_ms_per_iter"] = "ms"
}
function stop(what) { printf "%s: line %d: %s\n", FILENAME, FNR, what >"/dev/stderr"; failed = 1; exit 1 }
# Fields of the line into f[1 ..], quotes kept; returns their number.
function cut(line,    n, c, i, quoted) {
    n = 1; f[1] = ""
    for (i = 1; i <= length(line); i++) {
        c = substr(line, i, 1)
        if (c == "\"") quoted = !quoted
        if (c == "," && !quoted) f[++n] = ""
        else f[n] = f[n] c
    }
    if (quoted) stop("a quote that is not closed")
    return n
}
{ sub(/\r$/, "") }
FNR == 1 { if ($0 != header) stop("not the header " header); next }
{
    if (cut($0) != 11) stop("not 11 fields")
    if (!(f[1] in wanted)) next
    if (f[2] == "" || f[4] == "" || f[5] == "" || f[6] == "") stop("no source, table, model or data set")
    if (!(f[9] in name)) stop("metric \"" f[9] "\" is not known here")
    if (f[10] !~ /^[0-9]+(\.[0-9]+)?$/) stop("value \"" f[10] "\" is no number")
    task = f[6] (f[7] == "" ? "" : " " f[7]) (f[8] == "S" ? " S" : "")
    if (f[1] == "tfb_t2_drop_last") {
        if (!match(f[11], /batch size [0-9]+/)) stop("no batch size in the notes")
        task = "\"" task ", batch " substr(f[11], RSTART + 11, RLENGTH - 11) "\""
    }
    print "1," f[1] "," f[2] "," f[3] "," f[4] "," f[5] "," task "," name[f[9]] "," f[10] "," unit[f[9]] "," f[11]
}
END { exit failed }
