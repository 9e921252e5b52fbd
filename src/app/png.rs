//! Charts as PNG, with the fonts of the system.

use anyhow::Context;
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

/// Pixels for each unit of a chart.
const SCALE: f32 = 2.0;

/// Draws an SVG file.
///
/// # Errors
/// When it cannot be drawn.
pub(super) fn render(svg: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut options = Options::default();
    options.fontdb_mut().load_system_fonts();
    options.fontdb_mut().set_sans_serif_family("DejaVu Sans");
    let tree = Tree::from_data(svg, &options).context("could not read a chart")?;
    let size = tree.size().to_int_size().scale_by(SCALE).context("a chart has no size")?;
    let mut pixels = Pixmap::new(size.width(), size.height()).context("a chart has no size")?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
    pixels.encode_png().context("could not encode a chart")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_becomes_a_picture_with_its_colours() {
        let svg =
            br##"<svg xmlns="http://www.w3.org/2000/svg" width="2" height="1"><rect width="1" height="1"
            fill="#ff0000"/></svg>"##;
        let drawn = Pixmap::decode_png(&render(svg).unwrap()).unwrap();
        assert_eq!((drawn.width(), drawn.height()), (4, 2));
        let red = drawn.pixel(0, 0).unwrap();
        assert_eq!((red.red(), red.alpha(), drawn.pixel(3, 0).unwrap().alpha()), (255, 255, 0));
    }
}
