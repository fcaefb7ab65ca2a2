# The sets of each protocol, all images in memory-mapped arrays, and the constants to normalise with.


rule split:
    input:
        manifest=rules.manifest.output.manifest,
    output:
        f"{RESULTS}/preprocessing/{{protocol}}/split.csv",
    log:
        f"{RESULTS}/logs/{{protocol}}/split.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{protocol}}/split.tsv"
    resources:
        mem_mb=500,
        runtime=5,
    params:
        settings=lambda wildcards: json.dumps(study.split_settings(wildcards.protocol)),
        code=code_of("cxr.split"),
    shell:
        "python -m cxr --log {log} split --manifest {input.manifest} --settings {params.settings:q} --split {output}"


rule arrays:
    input:
        manifest=rules.manifest.output.manifest,
        cohort=rules.manifest.output.cohort,
    output:
        expand(f"{RESULTS}/arrays/{{array}}.npy", array=study.all_arrays()),
    log:
        f"{RESULTS}/logs/arrays.log",
    benchmark:
        f"{RESULTS}/benchmarks/arrays.tsv"
    threads: 8
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code_of("cxr.arrays"),
    shell:
        "python -m cxr --log {log} arrays --manifest {input.manifest} --cohort {input.cohort}"
        " --arrays {output} --threads {threads}"


rule normalisation:
    input:
        manifest=rules.manifest.output.manifest,
        split=rules.split.output,
        array=lambda wildcards: ancient(
            f"{RESULTS}/arrays/{study.array_name(1.0, wildcards.protocol)}.npy"
        ),
        published="paper/published/results.json",
    output:
        f"{RESULTS}/preprocessing/{{protocol}}/preprocessing.json",
    log:
        f"{RESULTS}/logs/{{protocol}}/normalisation.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{protocol}}/normalisation.tsv"
    resources:
        mem_mb=3000,
        runtime=10,
    params:
        settings=rules.split.params.settings,
        code=code_of("cxr.normalisation"),
    shell:
        "python -m cxr --log {log} normalisation --manifest {input.manifest} --split {input.split} --array {input.array}"
        " --published {input.published} --settings {params.settings:q} --preprocessing {output}"
