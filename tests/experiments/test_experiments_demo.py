from unveil.evaluation.evaluate import Result
from unveil.experiments.demo import change, verdict


def result(mean_ap, low=None):
    interval = (mean_ap if low is None else low, mean_ap)
    return Result("world-cc", "x", "w", "h", 9, 9, 0, {1: 0.1}, mean_ap, 0.1, {"cmc-1": interval, "mAP": interval})


def said(trained, chance=0.04, colours=0.05):
    return verdict(
        {"network in the package": [trained], "chance": [result(chance)], "colour histogram": [result(colours)]}
    )


def test_the_report_says_so_when_a_figure_is_chance_or_near_it():
    assert "not distinguishable from chance" in said(result(0.06, low=0.03))
    assert "still near chance (mAP 6.0 against 4.0)" in said(result(0.06, low=0.055))
    assert "not clearly better than colours" in said(result(0.3, low=0.2), colours=0.25)
    assert said(result(0.3, low=0.2)) == "cc: clearly better than chance and than colours."


def test_the_report_says_what_fine_tuning_changed():
    before, after = result(0.3), result(0.28)
    assert change({"network in the package": [before], "fine-tuned here": [after]}).endswith("in mAP: cc -2.0.")
