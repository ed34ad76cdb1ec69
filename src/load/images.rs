//! Pictures as inputs: the usual recipes (ImageNet's, YOLO's letterbox) and their numbers, applied to what a library decodes.
//! Every picture becomes a sample of one row.

use std::fmt;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

use super::samples::{Dim, InputSpec};
use crate::tensor::{DType, Tensor, Tensors};

/// How a picture becomes numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// Height and width; `None`: those that the model fixes.
    pub size: Option<[usize; 2]>,
    /// How it gets that size.
    pub fit: Fit,
    /// Blue first.
    pub bgr: bool,
    /// Channels last.
    pub nhwc: bool,
    /// Of pixels of 0 to 255, before mean and deviation.
    pub scale: f64,
    /// By channel, in the order of the channels.
    pub mean: [f64; 3],
    /// By channel.
    pub std: [f64; 3],
}

impl fmt::Display for Recipe {
    /// In full, to be read back.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let three = |values: [f64; 3]| values.map(|x| x.to_string()).join("/");
        f.write_str("plain")?;
        if let Some([height, width]) = self.size {
            write!(f, ",size={height}x{width}")?;
        }
        let fit = match self.fit {
            Fit::Stretch => "stretch",
            Fit::Crop(_) => "crop",
            Fit::Letterbox(_) => "letterbox",
        };
        let (channels, layout) = (if self.bgr { "bgr" } else { "rgb" }, if self.nhwc { "nhwc" } else { "nchw" });
        write!(f, ",fit={fit},channels={channels},layout={layout},scale={}", self.scale)?;
        write!(f, ",mean={},std={}", three(self.mean), three(self.std))
    }
}

/// How a picture gets its size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fit {
    /// Each side by itself.
    Stretch,
    /// The shorter side to this share of the size, then the middle.
    Crop(f64),
    /// The longer side to the size, and this gray around it.
    Letterbox(u8),
}

/// `imagenet`, `yolo` or `plain`, and what is otherwise: `imagenet,size=299,layout=nhwc,mean=0.5,std=0.5`.
pub fn parse_recipe(text: &str) -> Result<Recipe, String> {
    let wrong = |what: &str| {
        format!(
            "'{what}' is no recipe; write imagenet, yolo or plain, then what is otherwise: size=224 or 480x640, fit=stretch|crop|letterbox, \
             channels=rgb|bgr, layout=nchw|nhwc, scale=1, mean=0.5/0.5/0.5, std=0.5"
        )
    };
    let mut parts = text.split(',');
    let mut recipe = match parts.next().unwrap_or_default().trim() {
        "imagenet" => Recipe {
            fit: Fit::Crop(256.0 / 224.0),
            scale: 1.0 / 255.0,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
            ..Recipe::plain()
        },
        "yolo" => Recipe { fit: Fit::Letterbox(114), scale: 1.0 / 255.0, ..Recipe::plain() },
        "plain" => Recipe::plain(),
        other => return Err(wrong(other)),
    };
    for part in parts {
        let (key, value) = part.split_once('=').ok_or_else(|| wrong(part))?;
        let number = |text: &str| match text.split_once('/') {
            Some((a, b)) if key == "scale" => Some(a.parse::<f64>().ok()? / b.parse::<f64>().ok()?),
            _ => text.parse::<f64>().ok(),
        };
        let three = || {
            let values: Option<Vec<f64>> = value.split('/').map(number).collect();
            match values?[..] {
                [x] => Some([x; 3]),
                [a, b, c] => Some([a, b, c]),
                _ => None,
            }
        };
        match (key.trim(), value.trim()) {
            ("size", value) => recipe.size = Some(sides(value).ok_or_else(|| wrong(part))?),
            ("fit", "stretch") => recipe.fit = Fit::Stretch,
            ("fit", "crop") => recipe.fit = Fit::Crop(256.0 / 224.0),
            ("fit", "letterbox") => recipe.fit = Fit::Letterbox(114),
            ("channels", "rgb") => recipe.bgr = false,
            ("channels", "bgr") => recipe.bgr = true,
            ("layout", "nchw") => recipe.nhwc = false,
            ("layout", "nhwc") => recipe.nhwc = true,
            ("scale", value) => recipe.scale = number(value).filter(|x| x.is_finite()).ok_or_else(|| wrong(part))?,
            ("mean", _) => recipe.mean = three().ok_or_else(|| wrong(part))?,
            ("std", _) => recipe.std = three().filter(|s| s.iter().all(|x| *x != 0.0)).ok_or_else(|| wrong(part))?,
            _ => return Err(wrong(part)),
        }
    }
    Ok(recipe)
}

/// `224` or `480x640`, height first.
fn sides(text: &str) -> Option<[usize; 2]> {
    let side = |text: &str| text.parse().ok().filter(|n| (1..=1 << 14).contains(n));
    match text.split_once('x') {
        Some((height, width)) => Some([side(height)?, side(width)?]),
        None => side(text).map(|n| [n, n]),
    }
}

/// Does the name say that it is a picture?
pub fn is_picture(path: &Path) -> bool {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    matches!(ending.as_str(), "png" | "jpg" | "jpeg")
}

/// The picture at `path` as the sample of a model of one input of pictures.
pub fn read(path: &Path, recipe: Option<&Recipe>, inputs: &[InputSpec]) -> anyhow::Result<Tensors> {
    let shown = path.display();
    let Some(recipe) = recipe else {
        bail!("{shown} is a picture; say with --preprocess what the model wants: imagenet, yolo, or the numbers")
    };
    let pictures: Vec<&InputSpec> = inputs.iter().filter(|spec| spec.dims.len() == 4).collect();
    let [spec] = pictures.as_slice() else {
        bail!(
            "{shown}: the model has {} inputs of four dimensions, so it is not clear where a picture goes; give .npz files",
            pictures.len()
        )
    };
    let picture = image::ImageReader::open(path)
        .and_then(image::ImageReader::with_guessed_format)
        .with_context(|| format!("cannot read {shown}"))?
        .decode()
        .with_context(|| format!("{shown} is no picture that can be read"))?;
    let size = recipe.size.or_else(|| fixed(spec, recipe.nhwc)).with_context(|| {
        format!("{shown}: the model leaves height and width open; add size=224 (or 480x640) to --preprocess")
    })?;
    let fitted = fitted(&picture.to_rgb8(), recipe.fit, size);
    Ok(Tensors::from_iter([(spec.name.clone(), tensor(&fitted, recipe, spec.dtype)?)]))
}

/// Height and width that the model fixes.
fn fixed(spec: &InputSpec, nhwc: bool) -> Option<[usize; 2]> {
    let (height, width) = if nhwc { (1, 2) } else { (2, 3) };
    match (&spec.dims[height], &spec.dims[width]) {
        (Dim::Fixed(height), Dim::Fixed(width)) => Some([*height, *width]),
        _ => None,
    }
}

fn fitted(picture: &RgbImage, fit: Fit, [height, width]: [usize; 2]) -> RgbImage {
    let (height, width) = (height as u32, width as u32);
    let (own_height, own_width) = (picture.height().max(1), picture.width().max(1));
    let resized = |h: f64, w: f64| {
        imageops::resize(picture, (w.round() as u32).max(1), (h.round() as u32).max(1), FilterType::Triangle)
    };
    let ratios = (f64::from(height) / f64::from(own_height), f64::from(width) / f64::from(own_width));
    let by = |factor: f64| resized(f64::from(own_height) * factor, f64::from(own_width) * factor);
    match fit {
        Fit::Stretch => imageops::resize(picture, width, height, FilterType::Triangle),
        Fit::Crop(share) => {
            // As torchvision has it: the longer side is cut to a whole number, not rounded.
            let factor = ratios.0.max(ratios.1) * share;
            let whole = |own: u32| (f64::from(own) * factor + 1e-9).floor();
            let large = resized(whole(own_height), whole(own_width));
            let (x, y) = (large.width().saturating_sub(width) / 2, large.height().saturating_sub(height) / 2);
            imageops::crop_imm(&large, x, y, width, height).to_image()
        }
        Fit::Letterbox(gray) => {
            let small = by(ratios.0.min(ratios.1));
            let mut whole = RgbImage::from_pixel(width, height, Rgb([gray; 3]));
            let (x, y) = ((width - small.width().min(width)) / 2, (height - small.height().min(height)) / 2);
            imageops::replace(&mut whole, &small, i64::from(x), i64::from(y));
            whole
        }
    }
}

/// `[1, 3, H, W]` or `[1, H, W, 3]`.
fn tensor(picture: &RgbImage, recipe: &Recipe, dtype: DType) -> anyhow::Result<Tensor> {
    let (height, width) = (picture.height() as usize, picture.width() as usize);
    let pixel = |channel: usize, at: usize| {
        let own = if recipe.bgr { 2 - channel } else { channel };
        let value = f64::from(picture.as_raw()[at * 3 + own]) * recipe.scale;
        (value - recipe.mean[channel]) / recipe.std[channel]
    };
    let area = height * width;
    let (shape, values): (Vec<usize>, Vec<f64>) = match recipe.nhwc {
        true => (
            vec![1, height, width, 3],
            (0..area).flat_map(|at| (0..3).map(move |c| (c, at))).map(|(c, at)| pixel(c, at)).collect(),
        ),
        false => (
            vec![1, 3, height, width],
            (0..3).flat_map(|c| (0..area).map(move |at| (c, at))).map(|(c, at)| pixel(c, at)).collect(),
        ),
    };
    Ok(match dtype {
        DType::Float32 => Tensor::from_vec(dtype, shape, values.iter().map(|x| *x as f32).collect::<Vec<_>>()),
        DType::Float16 => {
            Tensor::from_vec(dtype, shape, values.iter().map(|x| half::f16::from_f64(*x)).collect::<Vec<_>>())
        }
        DType::Uint8 => {
            ensure!(
                values.iter().all(|x| (0.0..=255.0).contains(x) && x.fract() == 0.0),
                "the model takes pixels of uint8; use --preprocess plain"
            );
            Tensor::from_vec(dtype, shape, values.iter().map(|x| *x as u8).collect::<Vec<_>>())
        }
        other => bail!("the model takes pictures of {other}; give .npz files of that type"),
    })
}

impl Recipe {
    fn plain() -> Recipe {
        Recipe { size: None, fit: Fit::Stretch, bgr: false, nhwc: false, scale: 1.0, mean: [0.0; 3], std: [1.0; 3] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes_and_what_is_otherwise() {
        let imagenet = parse_recipe("imagenet").unwrap();
        assert_eq!((imagenet.fit, imagenet.mean[0], imagenet.std[2]), (Fit::Crop(256.0 / 224.0), 0.485, 0.225));
        let other =
            parse_recipe("yolo,size=480x640,channels=bgr,layout=nhwc,scale=1/127.5,mean=1,std=0.5/1/2").unwrap();
        assert_eq!(
            (other.size, other.bgr, other.nhwc, other.mean, other.std),
            (Some([480, 640]), true, true, [1.0; 3], [0.5, 1.0, 2.0])
        );
        assert!((other.scale - 1.0 / 127.5).abs() < 1e-12);
        for wrong in ["resnet", "yolo,size=0", "yolo,std=0", "plain,mean=1/2", "plain,fit=best", "plain,x"] {
            assert!(parse_recipe(wrong).unwrap_err().contains("is no recipe"), "{wrong}");
        }
    }

    /// Half red, half blue, two pixels high and four wide.
    fn picture() -> RgbImage {
        RgbImage::from_fn(4, 2, |x, _| if x < 2 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) })
    }

    fn values(recipe: &str, size: [usize; 2]) -> (Vec<usize>, Vec<f32>) {
        let recipe = parse_recipe(recipe).unwrap();
        let tensor = tensor(&fitted(&picture(), recipe.fit, size), &recipe, DType::Float32).unwrap();
        (tensor.shape.clone(), tensor.view::<f32>().to_vec())
    }

    #[test]
    fn channels_layout_and_numbers() {
        let (shape, nchw) = values("plain,scale=1/255", [2, 4]);
        assert_eq!(shape, [1, 3, 2, 4]);
        assert_eq!(nchw[..8], [1., 1., 0., 0., 1., 1., 0., 0.]);
        assert_eq!(nchw[16..20], [0., 0., 1., 1.]);
        let (_, bgr) = values("plain,scale=1/255,channels=bgr,mean=0.5,std=0.5", [2, 4]);
        assert_eq!(bgr[..4], [-1., -1., 1., 1.]);
        let (shape, nhwc) = values("plain,layout=nhwc", [2, 4]);
        assert_eq!((shape, &nhwc[..3]), (vec![1, 2, 4, 3], &[255., 0., 0.][..]));
    }

    #[test]
    fn a_letterbox_has_gray_above_and_below() {
        let (_, boxed) = values("yolo,scale=1", [4, 4]);
        assert_eq!(boxed[..4], [114.; 4]);
        assert_eq!(boxed[4..8], [255., 255., 0., 0.]);
        let (_, cropped) = values("plain,fit=crop", [2, 2]);
        assert_eq!(cropped.len(), 12);
    }
}
